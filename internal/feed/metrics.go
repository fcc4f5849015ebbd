package feed

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/market"
)

// Reasons why something that arrived did not become a tick on the tape. Adapters add their own.
const (
	ReasonBufferFull = "buffer_full" // the tape was behind and the buffer of a source that can't wait was full
	ReasonTapeLost   = "tape_closed" // the tape refused a batch for good, or the process had to end before it was taken
	ReasonUnusable   = "unusable"    // the adapter handed over an entry that is none
)

// Metrics are the measurements of all feeds of a process, labelled by feed.
type Metrics struct {
	up         *prometheus.GaugeVec
	messages   *prometheus.CounterVec
	ticks      *prometheus.CounterVec
	reconnects *prometheus.CounterVec
	gaps       *prometheus.CounterVec
	dropped    *prometheus.CounterVec
	duplicates *prometheus.CounterVec
	last       *prometheus.GaugeVec
	lag        *prometheus.HistogramVec
	append     *prometheus.HistogramVec
	pending    *prometheus.GaugeVec

	backfilled  *prometheus.CounterVec
	connections *prometheus.GaugeVec
	symbols     *prometheus.GaugeVec
	refused     *prometheus.GaugeVec
	clock       *prometheus.GaugeVec
}

// NewMetrics registers the measurements.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tapedeck", Subsystem: "feed", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "tapedeck", Subsystem: "feed", Name: name, Help: help}, []string{"feed"})
	}
	m := &Metrics{
		up:         gauge("up", "1 while the feed is live."),
		messages:   counter("messages_total", "Messages, or groups of rows, that arrived.", "feed"),
		ticks:      counter("ticks_total", "Ticks that were put on the tape.", "feed", "kind"),
		reconnects: counter("reconnects_total", "Connections that were made in place of one that ended, and attempts at it.", "feed"),
		gaps:       counter("gaps_total", "Gaps that were put on the tape, by what became of them: filled or unfilled.", "feed", "outcome"),
		dropped:    counter("dropped_total", "What arrived and could not be put on the tape, by reason.", "feed", "reason"),
		duplicates: counter("duplicates_total", "Trades that the venue sent again and that were left out.", "feed"),
		last:       gauge("last_message_timestamp_seconds", "When the last message arrived, in seconds since 1970."),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "tapedeck", Subsystem: "feed", Name: "event_lag_seconds",
			Help:    "From the venue's time of a tick to its arrival, the last tick of each message.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"feed"}),
		append: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "tapedeck", Subsystem: "feed", Name: "append_seconds",
			Help:    "From the arrival of a message to its ticks being on the tape.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"feed"}),
		pending: gauge("pending_bytes", "Memory of what arrived and is not on the tape yet."),

		backfilled:  counter("backfilled_ticks_total", "Ticks that were fetched after the fact.", "feed"),
		connections: gauge("connections", "Connections to the venue that are up."),
		symbols:     gauge("symbols", "Symbols that the feed carries."),
		refused:     gauge("refused_symbols", "Symbols that the venue will not serve."),
		clock:       gauge("clock_offset_seconds", "How far the venue's clock is ahead of ours, about."),
	}
	for _, c := range []prometheus.Collector{
		m.up, m.messages, m.ticks, m.reconnects, m.gaps, m.dropped, m.duplicates, m.last, m.lag, m.append, m.pending,
		m.backfilled, m.connections, m.symbols, m.refused, m.clock,
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of feeds: %w", err)
		}
	}
	return m, nil
}

// meters are the measurements of one feed.
type meters struct {
	up, last, pending          prometheus.Gauge
	messages, reconnects       prometheus.Counter
	duplicates, trades, quotes prometheus.Counter
	filled, unfilled           prometheus.Counter
	backfilled                 prometheus.Counter
	connections, symbols       prometheus.Gauge
	refused                    prometheus.Gauge
	clock                      func(ahead float64) // there is none before the first reading
	lag, append                prometheus.Observer
	dropped                    func(reason string) prometheus.Counter
}

// of returns the measurements of a feed. Without metrics they count for nobody.
func (m *Metrics) of(feed string) (*meters, error) {
	if m == nil {
		var err error
		if m, err = NewMetrics(prometheus.NewRegistry()); err != nil {
			return nil, err
		}
	}
	return &meters{
		up: m.up.WithLabelValues(feed), last: m.last.WithLabelValues(feed), pending: m.pending.WithLabelValues(feed),
		messages: m.messages.WithLabelValues(feed), reconnects: m.reconnects.WithLabelValues(feed),
		duplicates: m.duplicates.WithLabelValues(feed),
		trades:     m.ticks.WithLabelValues(feed, market.KindTrade.String()),
		quotes:     m.ticks.WithLabelValues(feed, market.KindQuote.String()),
		lag:        m.lag.WithLabelValues(feed), append: m.append.WithLabelValues(feed),
		filled: m.gaps.WithLabelValues(feed, "filled"), unfilled: m.gaps.WithLabelValues(feed, "unfilled"),
		backfilled: m.backfilled.WithLabelValues(feed), connections: m.connections.WithLabelValues(feed),
		symbols: m.symbols.WithLabelValues(feed), refused: m.refused.WithLabelValues(feed),
		clock: func(ahead float64) { m.clock.WithLabelValues(feed).Set(ahead) },
		dropped: func(reason string) prometheus.Counter {
			return m.dropped.WithLabelValues(feed, reason)
		},
	}, nil
}
