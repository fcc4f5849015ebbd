package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// archiveMetrics are what the archive shows of itself; docs/operations.md describes them.
type archiveMetrics struct {
	registered

	seconds  prometheus.Histogram
	rows     prometheus.Counter
	removed  prometheus.Counter
	failures prometheus.Counter
	done     prometheus.Gauge
}

func newArchiveMetrics(r prometheus.Registerer, a *Archiver) (*archiveMetrics, error) {
	m := &archiveMetrics{
		registered: registered{registerer: r},
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tapedeck_archive_file_seconds",
			Help:    "Time from the first look at the ticks of a file until they are in it and nowhere else.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapedeck_archive_rows_total",
			Help: "Ticks moved into the archive since the start.",
		}),
		removed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapedeck_archive_removed_files_total",
			Help: "Files removed since the start, for their age or for room.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tapedeck_archive_failures_total",
			Help: "Times that archiving or removing failed; it is tried again.",
		}),
		done: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tapedeck_archive_last_success_timestamp_seconds",
			Help: "When all that was due had been archived and removed for the last time; 0 before the first time.",
		}),
	}
	gauge := func(name, help string, value func(archiveTotals) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value(a.store.cold.sums())) })
	}
	m.collectors = []prometheus.Collector{
		m.seconds, m.rows, m.removed, m.failures, m.done,
		gauge("tapedeck_archive_files", "Files in the archive.", func(t archiveTotals) int64 { return t.files }),
		gauge("tapedeck_archive_bytes", "Size of the archive.", func(t archiveTotals) int64 { return t.bytes }),
		gauge("tapedeck_archive_ticks", "Ticks in the archive.", func(t archiveTotals) int64 { return t.rows }),
	}
	if err := m.register(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *archiveMetrics) moved(f *archivedFile, d time.Duration) {
	m.seconds.Observe(d.Seconds())
	m.rows.Add(float64(f.rows))
}
