package natstape

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the tape's, under tapedeck_tape_.
type metrics struct {
	registerer prometheus.Registerer
	all        []prometheus.Collector

	appendSeconds prometheus.Histogram
	turns         prometheus.Counter
	records       prometheus.Counter
	entries       prometheus.Counter
	bytes         prometheus.Counter
	restarts      prometheus.Counter
}

func newMetrics(r prometheus.Registerer, l *Log) (*metrics, error) {
	m := &metrics{registerer: r}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "tapedeck_tape_" + name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	gauge := func(name, help string, f func() float64) {
		m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tapedeck_tape_" + name, Help: help}, f))
	}
	m.appendSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "tapedeck_tape_append_seconds",
		Help:    "Time from handing a batch over to its being durable.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
	})
	m.all = append(m.all, m.appendSeconds)
	m.turns = counter("sync_batches_total", "Groups of records that were written and synced together.")
	m.records = counter("records_total", "Records appended.")
	m.entries = counter("entries_total", "Entries appended.")
	m.bytes = counter("appended_bytes_total", "Bytes of the records appended.")
	m.restarts = counter("server_restarts_total", "Restarts of the embedded server after it stopped answering.")
	gauge("last_position", "Last position of the tape.", func() float64 { return float64(l.Stats().Last) })
	gauge("ring_bytes", "Memory of recent records, by estimate.", func() float64 { return float64(l.Stats().RingBytes) })
	gauge("damaged_positions", "Positions that are known to be damaged.", func() float64 { return float64(l.damagedPositions()) })
	gauge("disk_free_bytes", "Free space of the tape's disk.", func() float64 { return float64(l.free.Load()) })
	gauge("full", "1 while appends are refused because the disk is full.", func() float64 {
		if l.isFull() {
			return 1
		}
		return 0
	})
	if r == nil {
		return m, nil
	}
	for i, c := range m.all {
		if err := r.Register(c); err != nil {
			m.all = m.all[:i]
			m.unregister()
			return nil, fmt.Errorf("register the tape's metrics: %w", err)
		}
	}
	return m, nil
}

// unregister makes room for another tape's metrics.
func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.all {
		m.registerer.Unregister(c)
	}
}
