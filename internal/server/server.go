package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tapedeck/internal/alert"
	"tapedeck/internal/archive"
	"tapedeck/internal/candle"
	"tapedeck/internal/feed"
	"tapedeck/internal/feed/poll"
	"tapedeck/internal/feed/replay"
	"tapedeck/internal/feed/sim"
	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
	"tapedeck/internal/natstape"
	"tapedeck/internal/publish"
	"tapedeck/internal/store"
	"tapedeck/internal/tape"
	"tapedeck/web"
)

// ErrRefused is wrapped by errors that say that the data folder can't be used by this program, now or at all; nothing was
// written to it.
var ErrRefused = errors.New("refused")

// Options are what a server is made of.
type Options struct {
	Config  Config
	Logger  *slog.Logger     // nil logs nothing
	Version string           // of the program
	Ready   func(url string) // called once streams and history are served at url; may be nil
}

// Server is one Tapedeck. Make it with New and Run it once.
type Server struct {
	opts  Options
	log   *slog.Logger
	feeds []*feed.URL
	reg   *feed.Registry

	wishes *feed.Wishes // what clients want of feeds on demand; nil without such feeds

	targets []publish.Target

	calendars *market.Calendars
	rules     func(venue string) *market.Rules
}

// adapters lists the sources of ticks that the program knows.
func adapters() *feed.Registry {
	return feed.NewRegistry(append(append(brokers(), lines()...), sim.Adapter(), replay.Adapter(), poll.Adapter("http+json", nil), poll.Adapter("https+json", nil))...)
}

// MaskFeed returns a feed's URL without its secrets.
func MaskFeed(s string) string { return feed.Mask(s) }

// New checks the configuration, feeds included. It writes nothing.
func New(o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	s := &Server{opts: o, log: o.Logger, reg: adapters()}
	var err error
	if s.calendars, err = loadCalendars(&o.Config); err != nil {
		return nil, err
	}
	if s.rules, err = loadRules(&o.Config); err != nil {
		return nil, err
	}
	if s.targets, err = targets(o.Config.Publish); err != nil {
		return nil, err
	}
	if o.Config.Has(RoleFeed) {
		urls, err := s.reg.ParseAll(o.Config.Feeds)
		if err != nil {
			return nil, fmt.Errorf("feeds: %w", err)
		}
		if err := s.reg.Probe(urls...); err != nil {
			return nil, fmt.Errorf("feeds: %w", err)
		}
		s.feeds = urls
		if s.wishes, err = s.offer(urls); err != nil {
			return nil, fmt.Errorf("feeds: %w", err)
		}
	}
	return s, nil
}

// node is what a running server is made of.
type node struct {
	*Server
	metrics  *prometheus.Registry
	tape     *natstape.Log
	store    *store.Store
	recorder *store.Recorder
	archiver *store.Archiver
	alerts   *alert.Engine
	noAlerts error // why they do not run
	gateway  *gateway.Gateway
	runners  []*feed.Runner
	importer *importer

	publishers []*publish.Publisher

	secret   string        // of the file server.json
	caughtUp tape.Position // the store is ready when it has come so far
}

// Run opens the data folder and serves until ctx is done; then it stops the feeds, records what they brought, says goodbye to
// clients and closes the tape, within Config.DrainTimeout. It returns nil after an orderly end.
func (s *Server) Run(ctx context.Context) (err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.opts.Config.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.opts.Config.Listen, err)
	}
	n := &node{Server: s, metrics: prometheus.NewRegistry()}
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.buildInfo())
	defer func() {
		err = errors.Join(err, n.close(), ignoreClosed(listener.Close()))
	}()
	if err := n.open(ctx); err != nil {
		return err
	}
	return n.run(ctx, listener)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) buildInfo() prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tapedeck_build_info", Help: "1, with the version of the program."}, []string{"version"})
	g.WithLabelValues(s.opts.Version).Set(1)
	return g
}

// open opens the tape and the store and makes the parts that read and write them.
func (n *node) open(ctx context.Context) (err error) {
	c := &n.opts.Config
	path := filepath.Join(c.Data, "store.db")
	position, entries, err := store.HighWater(ctx, path)
	if err != nil {
		n.log.WarnContext(ctx, "store can't tell how far the tape had come", "error", err)
	}
	n.tape, err = natstape.Open(ctx, natstape.Options{
		Dir: c.Data, Logger: n.log.With("part", "tape"), Registerer: n.metrics, MinFree: uint64(c.MinFree),
		HighWater: position, HighWaterOrdinal: entries,
	})
	if err != nil {
		return refused(fmt.Errorf("open tape: %w", err), natstape.ErrFormat, natstape.ErrLocked)
	}
	place, err := openArchive(c.Archive, c.Data)
	if err != nil {
		return err
	}
	place = archive.Lenient(place, n.log.With("part", "archive"))
	n.store, err = store.Open(ctx, store.Options{
		Path: path, Logger: n.log.With("part", "store"), Registerer: n.metrics, Source: n.tape, Archive: place,
		Candles: candle.Options{Calendars: n.calendars, Rules: n.rules},
	})
	if err != nil {
		return refused(err, store.ErrFormat, store.ErrCorrupt)
	}
	n.caughtUp = n.tape.Bounds().Last
	if c.Has(RoleRecord) {
		n.recorder = store.NewRecorder(n.store, n.tape)
		if err := n.openArchiver(); err != nil {
			return err
		}
	}
	if err := n.openPublishers(); err != nil {
		return err
	}
	if err := n.openFeeds(ctx); err != nil {
		return err
	}
	if c.Has(RoleAlert) {
		if err := n.openAlerts(ctx); err != nil {
			return err
		}
	}
	if c.Has(RoleGateway) {
		return n.openGateway()
	}
	return nil
}

// refused marks err as a refusal when it wraps one of the reasons.
func refused(err error, reasons ...error) error {
	for _, r := range reasons {
		if errors.Is(err, r) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return err
}

func (n *node) openFeeds(ctx context.Context) error {
	listings, err := n.store.Listings(ctx)
	if err != nil {
		return err
	}
	_, applied := n.store.Applied()
	_, lost := n.store.Entries()
	writer, err := feed.NewWriter(ctx, feed.WriterOptions{Tape: n.tape, Listings: listings, From: applied + 1, Lost: lost})
	if err != nil {
		return err
	}
	n.importer = newImporter(writer, n.tape, n.behind)
	if len(n.feeds) == 0 {
		return nil
	}
	metrics, err := feed.NewMetrics(n.metrics)
	if err != nil {
		return err
	}
	for _, u := range n.feeds {
		r, err := feed.NewRunner(feed.RunnerOptions{URL: u, Open: n.reg.Open, Writer: writer, Log: n.log.With("part", "feed"), Metrics: metrics, Wishes: n.wishes})
		if err != nil {
			return err
		}
		n.runners = append(n.runners, r)
	}
	return nil
}

// historyRows is the most that /history gives at once: more than a day of the busiest stock. It is streamed, so it costs no memory.
const historyRows = 1_000_000

func (n *node) openGateway() (err error) {
	c := &n.opts.Config
	var ui fs.FS = web.Files()
	secret, err := newSecret()
	if err != nil {
		return err
	}
	n.secret = secret
	var alerts gateway.Alerts
	if n.alerts != nil {
		alerts = ruleBook{n.alerts}
	}
	n.gateway, err = gateway.New(gateway.Options{
		Tape: n.tape, History: n.store, Feeds: n.feedInfos, Wishes: n.wishesFor(), Catalogue: catalogue(n.runners), Health: n.parts, Calendars: n.calendars, Rules: n.rules,
		Imports: n.importer, ImportSecret: n.secret, Alerts: alerts, UI: ui, Logger: n.log.With("part", "gateway"), Registerer: n.metrics, Gatherer: n.metrics,
		PublicURL: c.PublicURL, Hosts: c.Hosts, Origins: c.Origins, Version: n.opts.Version, Drain: c.DrainTimeout / 5,
		Uncompressed: !c.Compression, AuthDeadline: c.AuthDeadline,
		Limits: gateway.Limits{
			Rows: historyRows, Connections: c.MaxConnections, PerAddress: c.MaxConnectionsAddress, PerPrincipal: c.MaxConnectionsKey,
			Symbols: c.MaxSubscriptions, Plays: c.MaxPlays, Message: int(c.MaxMessage), Rate: c.MessageRate, Burst: c.MessageBurst,
		},
	})
	return err
}

// run starts the parts and waits for their end: that of ctx, or that of the first part that fails.
func (n *node) run(ctx context.Context, listener net.Listener) error {
	c := &n.opts.Config
	failing, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	// The parts end one after the other, so each group has a context of its own that does not end with ctx.
	var feeds, readers, httpd group
	feeds.start(ctx)
	readers.start(context.WithoutCancel(ctx))
	httpd.start(context.WithoutCancel(ctx))
	if n.recorder != nil {
		readers.run("record", failed, n.recorder.Run)
		readers.run("archive", failed, n.archiver.Run)
	}
	if n.alerts != nil {
		readers.run("alert", failed, n.alerts.Run)
	}
	if n.gateway != nil {
		httpd.run("gateway", failed, n.gateway.Run)
		n.serve(&httpd, failed, listener)
		httpd.run("ready", nil, func(ctx context.Context) error {
			select {
			case <-n.gateway.Started():
				if err := n.announce(listener); err != nil {
					n.log.WarnContext(ctx, "other commands can't find this server by its data folder", "error", err)
				}
				if n.opts.Ready != nil {
					n.opts.Ready(n.address(listener))
				}
			case <-ctx.Done():
			}
			return nil
		})
	}
	n.publish(&readers)
	for _, r := range n.runners {
		// A feed that rests is shown as down; it does not end the server.
		feeds.run("feed", nil, func(ctx context.Context) error { _ = r.Run(ctx); return nil })
	}
	n.log.InfoContext(ctx, "tapedeck runs", "version", n.opts.Version, "data", c.Data, "address", listener.Addr().String(), "feeds", len(n.runners))

	<-failing.Done()
	cause := context.Cause(failing)
	if ctx.Err() != nil {
		cause = nil
	}
	n.log.InfoContext(ctx, "tapedeck stops", "reason", context.Cause(failing))
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.DrainTimeout/2)
	defer cancel()
	feeds.end()
	if cause == nil && n.recorder != nil {
		n.recordRest(deadline)
	}
	httpd.end()
	n.renounce()
	readers.end()
	return cause
}

// recordRest waits until the store has all that is on the tape. What it does not get to in time is recorded at the next start.
func (n *node) recordRest(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	last := n.tape.Bounds().Last
	for {
		if _, applied := n.store.Applied(); applied >= last || n.store.Health() != nil {
			return
		}
		select {
		case <-ctx.Done():
			n.log.WarnContext(ctx, "history is behind the tape; the rest is recorded at the next start", "records", n.store.Lag())
			return
		case <-ticker.C:
		}
	}
}

// address returns the URL at which a user finds the server.
func (n *node) address(l net.Listener) string {
	if u := n.opts.Config.PublicURL; u != "" {
		return u
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// serve answers HTTP until the group ends.
func (n *node) serve(g *group, failed context.CancelCauseFunc, listener net.Listener) {
	server := &http.Server{
		Handler:           n.gateway.Handler(),
		ReadHeaderTimeout: n.opts.Config.HandshakeDeadline,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
	g.run("http", failed, func(ctx context.Context) error {
		done := make(chan error, 1)
		go func() { done <- server.Serve(listener) }()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
		}
		// The gateway has said goodbye to its streams; what remains are short requests.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.opts.Config.DrainTimeout/5)
		defer cancel()
		err := server.Shutdown(end)
		if err != nil {
			err = server.Close()
		}
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
}

// close closes what open opened.
func (n *node) close() error {
	var errs []error
	if n.importer != nil {
		n.importer.close()
	}
	if n.alerts != nil {
		errs = append(errs, n.alerts.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	if n.tape != nil {
		errs = append(errs, n.tape.Close())
	}
	return errors.Join(errs...)
}
