package server

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is one value of the configuration: its key in the file, whose parts are joined by points ("log.level"), and how it is
// read and shown. The environment variable of log.level is TAPEDECK_LOG_LEVEL.
type setting struct {
	key   string
	about string
	list  bool // several values: a sequence in the file, words between white space in the environment
	set   func(c *Config, values []string) error
	get   func(c *Config) []string
}

// env returns the name of the environment variable of the setting.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

const envPrefix = "TAPEDECK_"

// settings lists all there is to configure, in the order in which it is printed.
func settings() []setting {
	return []setting{
		text("listen", "address of the HTTP server", func(c *Config) *string { return &c.Listen }),
		text("data", "folder of the tape and the store", func(c *Config) *string { return &c.Data }),
		list("feeds", "sources of ticks, one URL each", func(c *Config) *[]string { return &c.Feeds }, oneFeed),
		list("publish", "brokers that ticks on the tape are sent to, one URL each", func(c *Config) *[]string { return &c.Publish }, oneFeed),
		list("roles", "parts that run: feed, record, alert, gateway", func(c *Config) *[]string { return &c.Roles }, parseList),
		text("alerts.webhook_secret_file", "file of the secret that signs what alerts post to webhooks", func(c *Config) *string { return &c.WebhookSecret }),
		list("alerts.webhook_networks", "networks that are not public and may be posted to all the same, such as 192.168.1.0/24", func(c *Config) *[]string { return &c.WebhookNetworks }, parseList),
		text("public_url", "where browsers reach a proxy in front of the server", func(c *Config) *string { return &c.PublicURL }),
		list("hosts", "further names that the Host header may have", func(c *Config) *[]string { return &c.Hosts }, parseList),
		list("origins", "further origins whose pages may read and open streams, such as https://charts.example.org", func(c *Config) *[]string { return &c.Origins }, parseList),
		flag("insecure_http", "listen on other addresses than loopback, without TLS", func(c *Config) *bool { return &c.InsecureHTTP }),
		choice("log.level", "debug, info, warn or error", []string{"debug", "info", "warn", "error"}, func(c *Config) *string { return &c.LogLevel }),
		choice("log.format", "text or json", []string{"text", "json"}, func(c *Config) *string { return &c.LogFormat }),
		text("bars.calendars", "file of trading days that corrects or adds to the built-in ones", func(c *Config) *string { return &c.Calendars }),
		list("bars.rules", "which trades make bars: all, sip, vendor, alpaca or massive, or VENUE=NAME (default what suits the venue)", func(c *Config) *[]string { return &c.Rules }, parseList),
		age("hot", "age from which whole days move from the store into the archive, such as 7d (0: never)", func(c *Config) *time.Duration { return &c.Hot }),
		text("archive", "where archived days are: a folder, file:///… or s3://bucket/prefix?endpoint=… (default archive/ in the data folder)", func(c *Config) *string { return &c.Archive }),
		age("keep", "age from which archived days are removed, such as 365d (0: never)", func(c *Config) *time.Duration { return &c.Keep }),
		size("keep_bytes", "size of the archive above which its oldest days are removed (0: never)", func(c *Config) *int64 { return &c.KeepBytes }),
		size("tape.min_free", "free space below which no tick is accepted (0: by the disk's size)", func(c *Config) *int64 { return &c.MinFree }),
		span("drain_timeout", "what a graceful stop may take", func(c *Config) *time.Duration { return &c.DrainTimeout }),
		count("limits.connections", "streaming clients in all", func(c *Config) *int { return &c.MaxConnections }),
		count("limits.connections_per_address", "streaming clients from one address", func(c *Config) *int { return &c.MaxConnectionsAddress }),
		count("limits.connections_per_key", "streaming clients with one key", func(c *Config) *int { return &c.MaxConnectionsKey }),
		count("limits.subscriptions", "symbols of one stream", func(c *Config) *int { return &c.MaxSubscriptions }),
		count("limits.plays", "streams that play the past at once", func(c *Config) *int { return &c.MaxPlays }),
		size("limits.message", "size of a client's message, inflated", func(c *Config) *int64 { return &c.MaxMessage }),
		count("limits.message_rate", "messages a second of one client", func(c *Config) *int { return &c.MessageRate }),
		count("limits.message_burst", "messages that a client may send at once", func(c *Config) *int { return &c.MessageBurst }),
		span("limits.handshake", "what the head of a request may take", func(c *Config) *time.Duration { return &c.HandshakeDeadline }),
		optional("limits.auth", "what a stream has to authenticate (0: it need not)", func(c *Config) *time.Duration { return &c.AuthDeadline }),
		flag("compression", "permessage-deflate for clients that offer it", func(c *Config) *bool { return &c.Compression }),
	}
}

// one makes a setting of a single value from the conversions of its text.
func one(key, about string, set func(*Config, string) error, get func(*Config) string) setting {
	return setting{
		key: key, about: about,
		set: func(c *Config, values []string) error { return set(c, strings.Join(values, " ")) },
		get: func(c *Config) []string { return []string{get(c)} },
	}
}

func text(key, about string, at func(*Config) *string) setting {
	return one(key, about,
		func(c *Config, s string) error { *at(c) = s; return nil },
		func(c *Config) string { return *at(c) })
}

func list(key, about string, at func(*Config) *[]string, split func(string) []string) setting {
	return setting{
		key: key, about: about, list: true,
		set: func(c *Config, values []string) error {
			*at(c) = nil
			for _, v := range values {
				*at(c) = append(*at(c), split(v)...)
			}
			return nil
		},
		get: func(c *Config) []string { return *at(c) },
	}
}

// oneFeed keeps a feed's URL as it is: the path of a file may have spaces.
func oneFeed(s string) []string { return []string{s} }

func choice(key, about string, of []string, at func(*Config) *string) setting {
	return one(key, about, func(c *Config, s string) error {
		if !slices.Contains(of, s) {
			return fmt.Errorf("%q is not one of %s", s, strings.Join(of, ", "))
		}
		*at(c) = s
		return nil
	}, func(c *Config) string { return *at(c) })
}

func flag(key, about string, at func(*Config) *bool) setting {
	return one(key, about, func(c *Config, s string) error {
		v, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		*at(c) = v
		return nil
	}, func(c *Config) string { return strconv.FormatBool(*at(c)) })
}

func count(key, about string, at func(*Config) *int) setting {
	return one(key, about, func(c *Config, s string) error {
		v, err := strconv.Atoi(s)
		if err != nil || v < 1 {
			return fmt.Errorf("%q is not a number from 1 up", s)
		}
		*at(c) = v
		return nil
	}, func(c *Config) string { return strconv.Itoa(*at(c)) })
}

func span(key, about string, at func(*Config) *time.Duration) setting {
	return duration(key, about, at, 1)
}

// optional is a span that may be 0.
func optional(key, about string, at func(*Config) *time.Duration) setting {
	return duration(key, about, at, 0)
}

func duration(key, about string, at func(*Config) *time.Duration, least time.Duration) setting {
	return one(key, about, func(c *Config, s string) error {
		v, err := time.ParseDuration(s)
		if err != nil || v < least {
			return fmt.Errorf("%q is not a duration such as 10s", s)
		}
		*at(c) = v
		return nil
	}, func(c *Config) string { return at(c).String() })
}

func size(key, about string, at func(*Config) *int64) setting {
	return one(key, about, func(c *Config, s string) error {
		v, err := parseSize(s)
		if err != nil {
			return err
		}
		*at(c) = v
		return nil
	}, func(c *Config) string { return formatSize(*at(c)) })
}

// parseSize reads a number of bytes with an optional unit: KiB, MiB, GiB, TiB.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "KMGTiB ")
	shift, ok := map[string]uint{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[strings.TrimSpace(s[len(digits):])]
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || v < 0 || v > 1<<62>>shift {
		return 0, fmt.Errorf("%q is not a size such as 512MiB", s)
	}
	return v << shift, nil
}

func formatSize(v int64) string {
	for _, u := range []struct {
		shift uint
		name  string
	}{{40, "TiB"}, {30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if v != 0 && v&(1<<u.shift-1) == 0 {
			return strconv.FormatInt(v>>u.shift, 10) + u.name
		}
	}
	return strconv.FormatInt(v, 10)
}
