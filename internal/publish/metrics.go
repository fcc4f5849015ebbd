package publish

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the measurements of all targets of a process, labelled by target.
type Metrics struct {
	up, lag, behind  *prometheus.GaugeVec
	messages, failed *prometheus.CounterVec
	skipped          *prometheus.CounterVec
}

// NewMetrics registers the measurements.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "tapedeck", Subsystem: "publish", Name: name, Help: help}, []string{"target"})
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tapedeck", Subsystem: "publish", Name: name, Help: help}, []string{"target"})
	}
	m := &Metrics{
		up:       gauge("up", "1 while the broker of the target takes messages."),
		lag:      gauge("lag_seconds", "For how long the target has been behind the tape, 0 when it is not."),
		behind:   gauge("behind_records", "Records of the tape that the target has not read."),
		messages: counter("messages_total", "Messages that the broker has taken."),
		failed:   counter("failures_total", "Attempts to connect or to send that failed."),
		skipped:  counter("skipped_records_total", "Records of the tape that were trimmed before they could be published."),
	}
	for _, c := range []prometheus.Collector{m.up, m.lag, m.behind, m.messages, m.failed, m.skipped} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of publishing: %w", err)
		}
	}
	return m, nil
}
