// Package publish sends the ticks that are on the tape to message brokers, for programs that listen there and not to Tapedeck.
//
//	redis://host:6379/channel     nats://host:4222/ticks.{symbol}     kafka://host:9092/topic
//
// A target is a reader of the tape like any other, with a position of its own, which it keeps in a file: after a restart it goes on
// where it was. A tick is sent at least once, and in the order of the tape; it may be sent again when a broker or the program ends
// at the wrong moment. A broker that is away or slow delays nobody: its target falls behind, and catches up. Ticks that were history
// when they reached the tape are not sent.
package publish

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"tapedeck/internal/broker"
	"tapedeck/internal/market"
)

// Target is a URL that ticks are sent to.
type Target struct {
	Name   string // unique among the targets of a process
	Scheme string
	Target string // what stands between :// and ?
	Shown  string // the URL without its secrets
	Params broker.Params
}

// Schemes returns the schemes of targets.
func Schemes() []string {
	return []string{"redis", "rediss", "redis+stream", "rediss+stream", "nats", "natss", "nats+js", "natss+js", "kafka", "kafkas"}
}

// Params returns the names of the parameters that a target of a scheme may have.
func Params(scheme string) []string {
	list := []string{"format", "symbols", "quotes", "names", "start"}
	switch {
	case strings.HasPrefix(scheme, "redis"):
		return append(append(list, broker.RedisParams()...), "stream", "maxlen")
	case strings.HasPrefix(scheme, "nats"):
		return append(append(list, broker.NATSParams()...), "jetstream")
	}
	return append(append(list, broker.KafkaParams()...), "compression")
}

// Check refuses a target that could not work whatever the world looks like. It reads no file.
func Check(t *Target) error {
	if _, err := parse(t); err != nil {
		return err
	}
	_, err := sinkOf(t, true)
	return err
}

// settings are what a URL says of the messages.
type settings struct {
	format   format
	quotes   bool
	bare     bool     // names without their venue
	patterns []string // of symbols; none is all
	earliest bool     // a target that is new gets all that is on the tape
}

func parse(t *Target) (s settings, err error) {
	p := t.Params
	switch p.Get("format") {
	case "", "tutorial":
		s.format = tutorial
	case "alpaca":
		s.format = alpaca
	default:
		return s, p.Errorf("format", "want tutorial or alpaca")
	}
	if s.quotes, err = p.Bool("quotes", s.format == alpaca); err != nil {
		return s, err
	}
	if s.quotes && s.format == tutorial {
		return s, p.Errorf("quotes", "the tutorial's message has no quotes: say format=alpaca as well")
	}
	switch p.Get("names") {
	case "", "full":
	case "bare":
		s.bare = true
	default:
		return s, p.Errorf("names", "want full or bare: SIM:AAPL or AAPL")
	}
	switch p.Get("start") {
	case "", "latest":
	case "earliest":
		s.earliest = true
	default:
		return s, p.Errorf("start", "want latest or earliest")
	}
	for _, pattern := range p.List("symbols") {
		pattern = strings.ToUpper(pattern)
		if _, err := path.Match(pattern, "SIM:AAPL"); err != nil {
			return s, p.Errorf("symbols", "want symbols, or patterns such as SIM:* or *-USD")
		}
		s.patterns = append(s.patterns, pattern)
	}
	return s, nil
}

// wants reports whether a symbol is sent: when a pattern is that of its full form or of its name. A slash in a symbol is like any
// other character.
func (s *settings) wants(symbol market.Symbol) bool {
	if len(s.patterns) == 0 {
		return true
	}
	full, name := strings.ReplaceAll(string(symbol), "/", "-"), strings.ReplaceAll(symbol.Name(), "/", "-")
	return slices.ContainsFunc(s.patterns, func(pattern string) bool {
		pattern = strings.ReplaceAll(pattern, "/", "-")
		for _, text := range [...]string{full, name} {
			if ok, err := path.Match(pattern, text); ok && err == nil {
				return true
			}
		}
		return false
	})
}

// message is one message of a target.
type message struct {
	symbol market.Symbol
	id     string // the same whenever it is sent again
	value  []byte
}

// sink is a broker that takes messages.
type sink interface {
	// dial makes a connection.
	dial(ctx context.Context) (line, error)

	// hide returns err without the secrets of the URL.
	hide(err error) error
}

// line is a connection to a broker.
type line interface {
	// send returns when the broker has taken all messages, in their order. After an error some may have been taken.
	send(ctx context.Context, messages []message) error

	// well asks whether the broker is there.
	well(ctx context.Context) error

	close()
}

// ErrTarget is wrapped by the errors of targets' URLs.
var ErrTarget = errors.New("can't publish there")

// sinkOf makes the sink of a target. When it is only to be checked no file is read, and no secret looked for.
func sinkOf(t *Target, only bool) (sink, error) {
	p := t.Params
	if only {
		p = secretless{p}
	}
	scheme, kept := t.Scheme, false
	for _, suffix := range []string{"+stream", "+js"} {
		if s, ok := strings.CutSuffix(scheme, suffix); ok {
			scheme, kept = s, true
		}
	}
	var s sink
	var err error
	switch scheme {
	case "redis", "rediss":
		s, err = newRedis(scheme, t.Target, p, kept)
	case "nats", "natss":
		s, err = newNATS(scheme, t.Target, p, kept)
	case "kafka", "kafkas":
		s, err = newKafka(scheme, t.Target, p)
	default:
		err = fmt.Errorf("nothing can be published to %s://", t.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTarget, err)
	}
	return s, nil
}

// secretless are parameters whose secrets, and files, are not looked for.
type secretless struct{ broker.Params }

func (s secretless) Secret(name string) (string, error) {
	if name == "credentials" {
		return "-----BEGIN NATS USER JWT-----", nil
	}
	return "x", nil
}

func (s secretless) Has(name string) bool {
	return !strings.HasPrefix(name, "tls_") && s.Params.Has(name)
}
