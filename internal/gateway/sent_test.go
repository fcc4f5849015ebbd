package gateway

import (
	"slices"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"tapedeck/internal/market"
)

// A tick that a live client is sent is measured; what is sent to one that catches up, or that wants only the newest, says nothing of how fast
// ticks are told.
func TestSent(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:AAPL", 1, 18700, t0))
	b := serve(t, m, nil)
	count := func() uint64 {
		n, _, _ := b.g.metrics.sent.meter.Total()
		return n
	}
	seq := uint64(1)
	put := func() {
		seq++
		m.Put("sim", trade("SIM:AAPL", seq, 18700, t0+market.Time(seq)*market.Second))
	}
	latest := b.join(`{"action":"subscribe","trades":["*"],"mode":"latest","every":"10ms"}`)
	for range 3 {
		put()
		latest.frame()
	}
	late := b.join(`{"action":"subscribe","trades":["SIM:AAPL"],"from":{"time":"2026-11-23T00:00:00Z"}}`)
	late.frame()
	if n := count(); n != 0 {
		t.Errorf("%d messages were measured that nobody could have had sooner", n)
	}
	live := b.join(`{"action":"subscribe","trades":["*"]}`)
	for count() == 0 { // it is counted when it was written, which the client may see first
		if put(); seq > 1000 {
			t.Fatal("nothing is measured")
		}
		live.frame()
	}
	families, err := b.g.opt.Gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "tapedeck_gateway_send_seconds" })
	if i < 0 || families[i].Metric[0].GetHistogram().GetSampleCount() == 0 || len(families[i].Metric[0].GetHistogram().GetBucket()) < 10 {
		t.Errorf("no histogram of it in %v", families)
	}
}
