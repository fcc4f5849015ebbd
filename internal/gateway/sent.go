package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/latency"
)

// sent measures the last stage of a tick: from when it can be read from the tape until all of the message that it is in was written to the
// socket of a client. Clients that do not read, that catch up, that play the past, or that want only the newest now and then, say nothing
// about it and are left out.
type sent struct {
	meter latency.Meter
	desc  *prometheus.Desc
}

func newSent() *sent {
	o := prometheus.HistogramOpts{
		Name: "tapedeck_gateway_send_seconds",
		Help: "From a tick being on the tape to its being written to a client that reads as it comes, once for each message.",
	}
	return &sent{desc: prometheus.NewDesc(o.Name, o.Help, nil, nil)}
}

func (s *sent) observe(now time.Time, d time.Duration) { s.meter.Observe(now, d, 1) }

// add takes over what a shard counted. Most rounds have nothing.
func (s *sent) add(now time.Time, c *latency.Counts) {
	if !c.IsEmpty() {
		s.meter.Add(now, c)
	}
}

// Describe implements prometheus.Collector.
func (s *sent) Describe(out chan<- *prometheus.Desc) { out <- s.desc }

// Collect implements prometheus.Collector.
func (s *sent) Collect(out chan<- prometheus.Metric) {
	n, sum, upTo := s.meter.Total()
	buckets := make(map[float64]uint64, len(upTo))
	for _, b := range upTo[:len(upTo)-1] { // what is longer than all of them is in the last, which has no bound
		buckets[b.To.Seconds()] = b.N
	}
	out <- prometheus.MustNewConstHistogram(s.desc, n, sum.Seconds(), buckets)
}
