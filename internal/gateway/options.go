package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// History is what was recorded. All methods may be called at once; ctx bounds the work.
type History interface {
	// Ticks calls yield for the trades or quotes that q asks for, in its order, until yield returns an error, which is then
	// returned. The row is valid during the call only.
	Ticks(ctx context.Context, q market.TickQuery, yield func(*market.Row) error) error

	// Bars appends the bars that q asks for to dst, and returns the position on the tape that they are as of.
	Bars(ctx context.Context, q market.BarQuery, dst []market.Bar) ([]market.Bar, tape.Position, error)

	// Listings returns every symbol that was ever seen.
	Listings(ctx context.Context) ([]market.Listing, error)

	// Applied returns the epoch of the tape and the position up to which history is complete.
	Applied() (tape.Epoch, tape.Position)
}

// Part is the state of one part of the program for /readyz.
type Part struct {
	Name string
	Err  error  // why it is not ready; nil when it is
	Note string // anything else worth saying; may be empty
}

// Limits bound what clients may ask for. A zero field takes its default.
type Limits struct {
	Connections   int           // streams in all; 1,000
	PerAddress    int           // streams of one client address, loopback excepted; 100
	PerPrincipal  int           // streams with the same key, loopback excepted; 100
	Symbols       int           // distinct symbols that one socket subscribes to, and that one request names; 256
	Message       int           // bytes of a client's message; 64 KiB
	Rate          int           // messages per second of a client; 30
	Burst         int           // messages above the rate at once; 60
	Header        int           // bytes of a request's URL and headers together; 16 KiB
	Body          int64         // bytes of a request's body; 1 MiB
	Rows          int           // rows of /history; 100,000
	Page          int           // rows of a page of /v2/stocks/…; 10,000
	Queries       int           // requests that read history at once; 32
	QueryTime     time.Duration // that one request may take; 30 s
	CatchUps      int           // sessions that read the tape at once; 8
	Plays         int           // sessions that play the past at once: each may hold a megabyte or two; 500
	Frame         int           // bytes after which a frame of ticks is closed; 128 KiB
	ShortestEvery time.Duration // of mode latest; 10 ms
	LongestEvery  time.Duration // of mode latest; 1 min
}

// Options are what a gateway is made of.
type Options struct {
	Tape    tape.Source // required
	History History     // required

	// Feeds tells of the feeds; nil when there are none.
	Feeds func() []FeedInfo
	// Catalogue tells what the venues of the feeds list; nil when none does.
	Catalogue Catalogue
	// Health tells of the other parts for /readyz; nil when there are none.
	Health func() []Part
	// Wishes takes what clients want of feeds on demand; nil when there are none.
	Wishes Wishes
	// Calendars tell the trading days of the venues; nil stands for the built-in ones.
	Calendars *market.Calendars
	// Rules returns the rule set of a venue's trades; nil, or a nil result, stands for the one that suits the venue.
	Rules func(venue string) *market.Rules

	// Imports puts files on the tape; nil when none are taken. ImportSecret is what a program must know to import past a proxy; empty
	// when none may.
	Imports      Imports
	ImportSecret string

	Alerts Alerts // rules and what they fired; nil when there are none

	UI         fs.FS // the built page; nil to serve none
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil to register no metrics
	Gatherer   prometheus.Gatherer   // nil to serve no /metrics

	// PublicURL is the address that users see, such as https://ticks.example.org/deck; empty when there is no proxy.
	PublicURL string
	// Hosts are allowed in the Host header in addition to localhost, loopback addresses and that of PublicURL.
	Hosts []string
	// Origins may open streams in addition to the origin that the page itself is served from.
	Origins []string
	// Proxies are addresses whose X-Forwarded-For is believed.
	Proxies []netip.Prefix

	// Uncompressed refuses permessage-deflate to clients that offer it.
	Uncompressed bool
	// Portable drives each stream with goroutines of its own, as is done for TLS and where there is no epoll.
	Portable bool
	// AuthDeadline is how long a client has to authenticate; 0 when it need not.
	AuthDeadline time.Duration

	Limits    Limits
	Ring      int           // entries kept in memory for all sessions; 65,536 when 0
	Ping      time.Duration // between WebSocket pings; 20 s when 0
	Heartbeat time.Duration // between heartbeat messages; 5 s when 0
	Drain     time.Duration // that clients have to say goodbye at shutdown; 5 s when 0
	Version   string
}

// withDefaults fills in what was left zero.
func (o Options) withDefaults() Options {
	fill := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	long := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	l := &o.Limits
	fill(&l.Connections, 1000)
	fill(&l.PerAddress, 100)
	fill(&l.PerPrincipal, 100)
	fill(&l.Symbols, 256)
	fill(&l.Message, 64<<10)
	fill(&l.Rate, 30)
	fill(&l.Burst, 60)
	fill(&l.Header, 16<<10)
	fill(&l.Rows, 100_000)
	fill(&l.Page, 10_000)
	fill(&l.Queries, 32)
	fill(&l.CatchUps, 8)
	fill(&l.Plays, 500)
	fill(&l.Frame, 128<<10)
	fill(&o.Ring, 1<<16)
	if l.Body == 0 {
		l.Body = 1 << 20
	}
	long(&l.QueryTime, 30*time.Second)
	long(&l.ShortestEvery, 10*time.Millisecond)
	long(&l.LongestEvery, time.Minute)
	long(&o.Ping, 20*time.Second)
	long(&o.Heartbeat, 5*time.Second)
	long(&o.Drain, 5*time.Second)
	if o.Catalogue == nil {
		o.Catalogue = noCatalogue{}
	}
	if o.Calendars == nil {
		o.Calendars = market.NewCalendars()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// shards returns how many shards there are: a processor is left to what brings the ticks, because ticks that wait for one are late for
// every client. On two processors one shard has half the latency of two, and no less throughput.
func (o *Options) shards() int {
	if o.Portable {
		return 0
	}
	return min(max(1, runtime.GOMAXPROCS(0)-1), 8)
}

func (o *Options) check() error {
	if o.Tape == nil || o.History == nil {
		return errors.New("the gateway needs a tape and a history")
	}
	l := o.Limits
	for _, v := range []int{
		l.Connections, l.PerAddress, l.PerPrincipal, l.Symbols, l.Message, l.Rate, l.Burst, l.Header, l.Rows, l.Page, l.Queries,
		l.CatchUps, l.Plays, l.Frame, o.Ring,
	} {
		if v < 0 {
			return fmt.Errorf("a limit of the gateway is %d: it must not be negative", v)
		}
	}
	if o.PublicURL != "" {
		if _, err := origin(o.PublicURL); err != nil {
			return fmt.Errorf("public URL: %w", err)
		}
	}
	for _, s := range o.Origins {
		if got, err := origin(s); err != nil || got != strings.ToLower(s) {
			return fmt.Errorf("origin %q: want scheme and host only, such as https://ticks.example.org", s)
		}
	}
	return nil
}

// origin returns the scheme and host of a URL as browsers write them in the Origin header.
func origin(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", err
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if scheme != "http" && scheme != "https" || host == "" {
		return "", fmt.Errorf("%q is not an http or https address", s)
	}
	if scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host, nil
}
