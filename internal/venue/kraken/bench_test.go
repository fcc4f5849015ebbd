package kraken

import (
	"testing"

	"tapedeck/internal/venue"
)

const (
	oneTrade  = `{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":85772.4,"qty":0.00043721,"ord_type":"limit","trade_id":110386729,"timestamp":"2026-10-06T18:14:44.947782Z"}]}`
	oneTicker = `{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":105944.20,"bid_qty":2.5,"ask":105944.30,"ask_qty":3.2,"last":105899.40,"volume":163.28908096,"vwap":105904.39279,"low":104711.00,"high":106613.10,"change":250.00,"change_pct":0.24,"timestamp":"2022-12-25T09:30:59.123456Z"}]}`
)

// TestDecodesWithoutGarbage holds that ticks cost no allocation once the session runs.
func TestDecodesWithoutGarbage(t *testing.T) {
	for name, msg := range map[string]string{"trade": oneTrade, "ticker": oneTicker, "heartbeat": `{"channel":"heartbeat"}`} {
		s, out := open(t, venue.Trades|venue.Quotes)
		b := []byte(msg)
		if n := testing.AllocsPerRun(100, func() {
			out.Reset()
			if err := s.Message(b, now, out); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func benchmark(b *testing.B, msg string, entries int) {
	s, out := open(b, venue.Trades|venue.Quotes)
	m := []byte(msg)
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := s.Message(m, now, out); err != nil || len(out.Entries) != entries {
			b.Fatal(err, len(out.Entries))
		}
	}
}

func BenchmarkTrade(b *testing.B)  { benchmark(b, oneTrade, 1) }
func BenchmarkTicker(b *testing.B) { benchmark(b, oneTicker, 1) }
