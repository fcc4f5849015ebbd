package alert

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are what the engine measures.
type meters struct {
	rules     prometheus.Gauge
	fired     prometheus.Counter
	seconds   prometheus.Histogram
	state     prometheus.Gauge
	delivered *prometheus.CounterVec
}

func newMeters(r prometheus.Registerer) (*meters, error) {
	m := &meters{
		rules: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tapedeck_alert_rules", Help: "Rules, those that are off included."}),
		fired: prometheus.NewCounter(prometheus.CounterOpts{Name: "tapedeck_alert_fired_total", Help: "Alarms that were put on the tape."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tapedeck_alert_eval_seconds", Help: "Time to evaluate a group of records, until their alarms are on the tape.",
			Buckets: prometheus.ExponentialBuckets(10e-6, 4, 10),
		}),
		state: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tapedeck_alert_state_bytes", Help: "Size of what the rules have in mind, as written down."}),
		delivered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tapedeck_alert_deliveries_total", Help: "Attempts to deliver an alarm, by channel and outcome.",
		}, []string{"channel", "outcome"}),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range m.all() {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *meters) all() []prometheus.Collector {
	return []prometheus.Collector{m.rules, m.fired, m.seconds, m.state, m.delivered}
}

func (m *meters) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.all() {
		r.Unregister(c)
	}
}
