package server

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is what an operator can choose. The zero value is not useful: start from Defaults.
type Config struct {
	Listen          string   // address of the HTTP server; loopback unless InsecureHTTP
	Data            string   // folder of the tape and the store
	Feeds           []string // one URL a feed
	Publish         []string // one URL a broker that ticks are sent to
	WebhookSecret   string   // file of the secret that signs what webhooks get
	WebhookNetworks []string // networks that are not public and may be posted to
	Roles           []string // which parts run: feed, record, alert, gateway
	PublicURL       string   // where browsers reach the server when a proxy is in front of it, with its path prefix
	Hosts           []string // further names that the Host header may have
	Origins         []string // web pages of other origins that may read and open streams
	InsecureHTTP    bool     // listen on other addresses than loopback, without TLS

	LogLevel  string // debug, info, warn, error
	LogFormat string // text, json

	Calendars string   // file of trading days, added to the built-in ones; "" for none
	Rules     []string // which trades make bars: the name of a rule set for all venues, or VENUE=NAME

	Hot       time.Duration // age from which whole days are moved into the archive; 0 leaves all in the store
	Archive   string        // where the archive is: a folder, file:///…, s3://…; "" is the folder archive of Data
	Keep      time.Duration // age from which archived days are removed; 0 keeps them for ever
	KeepBytes int64         // size above which the oldest archived days are removed; 0 lets it grow

	MinFree      int64         // bytes on the tape's disk below which nothing more is accepted; 0 chooses by the disk's size
	DrainTimeout time.Duration // what a graceful stop may take

	MaxConnections        int           // WebSocket and SSE clients in all
	MaxConnectionsAddress int           // and from one address
	MaxConnectionsKey     int           // and with one key
	MaxSubscriptions      int           // symbols of one stream
	MaxPlays              int           // streams that play the past at once
	MaxMessage            int64         // bytes of a client's message, inflated
	MessageRate           int           // messages a second of one client
	MessageBurst          int           // and so many more at once
	HandshakeDeadline     time.Duration // what the head of a request may take
	AuthDeadline          time.Duration // what a stream has to authenticate; 0 when it need not
	Compression           bool          // clients that offer permessage-deflate get it
}

// Roles that a process can have.
const (
	RoleFeed    = "feed"
	RoleRecord  = "record"
	RoleAlert   = "alert"
	RoleGateway = "gateway"
)

// DefaultFeed is what runs when no feed is configured: a simulated market, labelled as such.
const DefaultFeed = "sim://?symbols=AAPL,MSFT,NVDA,AMZN,GOOGL,TSLA,SPY,BTC-USD,ETH-USD&rate=40/s&seed=1"

// Defaults returns the configuration of a server that was told nothing.
func Defaults() Config {
	return Config{
		Listen:                "127.0.0.1:8000",
		Data:                  defaultData(),
		Feeds:                 []string{DefaultFeed},
		Roles:                 []string{RoleFeed, RoleRecord, RoleAlert, RoleGateway},
		LogLevel:              "info",
		LogFormat:             "text",
		DrainTimeout:          10 * time.Second,
		MaxConnections:        20_000,
		MaxConnectionsAddress: 1000,
		MaxConnectionsKey:     100,
		MaxSubscriptions:      2560,
		MaxPlays:              500,
		MaxMessage:            64 << 10,
		MessageRate:           30,
		MessageBurst:          60,
		HandshakeDeadline:     5 * time.Second,
		Compression:           true,
	}
}

// defaultData follows the XDG base directory specification.
func defaultData() string {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tapedeck")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "tapedeck-data"
	}
	return filepath.Join(home, ".local", "share", "tapedeck")
}

// Has reports whether the process has a role.
func (c *Config) Has(role string) bool { return slices.Contains(c.Roles, role) }

// Validate reports what is wrong with the configuration as a whole; what is wrong with a single value was found when it was
// read. Feed URLs are checked by the feeds.
func (c *Config) Validate() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("listen: %q is not an address such as 127.0.0.1:8000", c.Listen)
	}
	if !c.InsecureHTTP && !loopback(host) {
		return fmt.Errorf("listen: %s can be reached from other machines, and there is no TLS and no login yet; "+
			"listen on 127.0.0.1 behind a proxy that has both, or say --insecure-http if the network is trusted", c.Listen)
	}
	if c.Data == "" {
		return errors.New("data: the folder must be named")
	}
	if slices.Contains(c.Feeds, "") {
		return errors.New("feeds: a feed's URL is empty")
	}
	if slices.Contains(c.Publish, "") {
		return errors.New("publish: a target's URL is empty")
	}
	for _, role := range c.Roles {
		if !slices.Contains([]string{RoleFeed, RoleRecord, RoleAlert, RoleGateway}, role) {
			return fmt.Errorf("roles: %q is not one of feed, record, alert, gateway", role)
		}
	}
	if len(c.Roles) == 0 {
		return errors.New("roles: at least one of feed, record, alert, gateway")
	}
	if err := c.validateArchive(); err != nil {
		return err
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("public_url: %q is not a URL such as https://ticks.example.com/deck/", c.PublicURL)
		}
	}
	for _, s := range c.Origins {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || s != u.Scheme+"://"+u.Host {
			return fmt.Errorf("origins: %q is not an origin: scheme and host only, such as https://charts.example.org", s)
		}
	}
	return nil
}

// loopback reports whether a listener on host can be reached from this machine only.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// parseList splits at commas and white space. It is not for feed URLs, which contain commas.
func parseList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}
