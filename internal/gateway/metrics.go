package gateway

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the gateway counts. All names begin with tapedeck_gateway_.
type metrics struct {
	sessions   *prometheus.GaugeVec // by stream
	closes     *prometheus.CounterVec
	catchingUp prometheus.Gauge
	waiting    prometheus.Gauge
	writes     prometheus.Counter
	bytes      prometheus.Counter
	ticks      prometheus.Counter
	refused    *prometheus.CounterVec
	requests   *prometheus.HistogramVec
	sent       *sent
}

func newMetrics(o *Options, h *hub) (*metrics, error) {
	name := func(s string) string { return "tapedeck_gateway_" + s }
	m := &metrics{
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: name("sessions"), Help: "Streams that are open.",
		}, []string{"stream"}),
		closes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("closes_total"), Help: "Streams that ended, by reason.",
		}, []string{"reason"}),
		catchingUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: name("catching_up"), Help: "Streams that read the tape because they are behind what is in memory.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: name("waiting"), Help: "Streams that wait for their client to read.",
		}),
		writes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: name("writes_total"), Help: "Writes to streams, each of all that was due to a client.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: name("bytes_total"), Help: "Bytes written to streams.",
		}),
		ticks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: name("ticks_total"), Help: "Ticks delivered, counted once for each client.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("refused_total"), Help: "Streams that were not opened, by status.",
		}, []string{"status"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("request_seconds"), Help: "Time to answer a request, by route and status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "status"}),
		sent: newSent(),
	}
	if o.Registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.sessions, m.closes, m.catchingUp, m.waiting, m.writes, m.bytes, m.ticks, m.refused, m.requests, m.sent,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name("ring_entries"), Help: "Entries of the tape that are in memory for all streams.",
		}, func() float64 {
			h.mu.RLock()
			defer h.mu.RUnlock()
			return float64(h.size)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name("lag_records"), Help: "Records on the tape that the gateway has not read yet.",
		}, func() float64 {
			next, _ := h.position()
			return max(0, float64(h.src.Bounds().Last)-float64(next)+1)
		}),
	} {
		if err := o.Registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func status(code int) string { return strconv.Itoa(code) }
