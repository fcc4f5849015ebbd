package store

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/tape"
)

// metrics are what the store shows of itself; docs/operations.md describes them.
type metrics struct {
	registered
	source atomic.Pointer[tape.Source]

	commit  prometheus.Histogram
	rows    *prometheus.CounterVec
	retries *prometheus.CounterVec
	leftOut *prometheus.CounterVec
	refused prometheus.Counter
}

func newMetrics(r prometheus.Registerer, s *Store) (*metrics, error) {
	m := &metrics{
		registered: registered{registerer: r},
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tapedeck_store_commit_seconds",
			Help:    "Time of a transaction of the recorder, from its first statement until it is durable.",
			Buckets: prometheus.ExponentialBuckets(0.000_25, 2, 16),
		}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_store_rows_total",
			Help: "Rows written since the start, by table. A bar counts each time it is written.",
		}, []string{"table"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_store_retries_total",
			Help: "Times that the recorder had to wait and try again, by what it tried: open, read, write, tape.",
		}, []string{"act"}),
		leftOut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_store_trades_left_out_total",
			Help: "Trades that are in history but in no bar, by reason: ahead (of the time of arrival), invalid, overflow.",
		}, []string{"reason"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapedeck_store_refused_total",
			Help: "Entries of the tape that could not be stored; each is within a gap that says why.",
		}),
	}
	m.collectors = []prometheus.Collector{
		m.commit, m.rows, m.retries, m.leftOut, m.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tapedeck_store_position",
			Help: "Position of the tape up to which it has been recorded.",
		}, func() float64 { return float64(s.now.placed().position) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tapedeck_store_lag_records",
			Help: "Records of the tape that have not been recorded yet.",
		}, func() float64 { return float64(s.Lag()) }),
	}
	if err := m.register(); err != nil {
		return nil, err
	}
	return m, nil
}

// registered are collectors and where they are shown.
type registered struct {
	registerer prometheus.Registerer // nil: nowhere
	collectors []prometheus.Collector
}

func (r *registered) register() error {
	if r.registerer == nil {
		return nil
	}
	for _, c := range r.collectors {
		if err := r.registerer.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

func (r *registered) unregister() {
	if r.registerer == nil {
		return
	}
	for _, c := range r.collectors {
		r.registerer.Unregister(c)
	}
}

// follow makes the lag that behind the given tape.
func (m *metrics) follow(source tape.Source) { m.source.Store(&source) }

func (m *metrics) committed(d time.Duration, n rowCounts) {
	m.commit.Observe(d.Seconds())
	m.rows.WithLabelValues("trades").Add(float64(n.trades))
	m.rows.WithLabelValues("quotes").Add(float64(n.quotes))
	m.rows.WithLabelValues("bars").Add(float64(n.bars))
	m.rows.WithLabelValues("gaps").Add(float64(n.gaps))
}

func (m *metrics) retried(act string) { m.retries.WithLabelValues(act).Inc() }

// Lag returns how many positions of the tape have not been recorded yet, 0 when there is no recorder.
func (s *Store) Lag() uint64 {
	source := s.metrics.source.Load()
	if source == nil {
		return 0
	}
	last, applied := (*source).Bounds().Last, s.now.placed().position
	if last < applied {
		return 0
	}
	return uint64(last - applied)
}
