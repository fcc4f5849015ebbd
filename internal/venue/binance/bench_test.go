package binance

import (
	"testing"

	"tapedeck/internal/venue"
)

const (
	oneTrade  = `{"e":"trade","E":1789295134226123,"s":"BTCUSDT","t":388510,"p":"76745.19000000","q":"0.00065000","T":1789295134225456,"m":false,"M":true}`
	combined  = `{"stream":"btcusdt@trade","data":{"e":"trade","E":1789295134226,"s":"BTCUSDT","t":388510,"p":"76745.19000000","q":"0.00065000","T":1789295134225,"m":false,"M":true}}`
	oneTicker = `{"u":1801512,"s":"BTCUSDT","b":"76745.18000000","B":"8.74206000","a":"76745.19000000","A":"12.06313000"}`
)

// TestDecodesWithoutGarbage holds that ticks cost no allocation once the session runs.
func TestDecodesWithoutGarbage(t *testing.T) {
	for name, msg := range map[string]string{"trade": oneTrade, "combined": combined, "quote": oneTicker} {
		s, out := open(t, venue.Trades|venue.Quotes, false)
		b := []byte(msg)
		if n := testing.AllocsPerRun(100, func() {
			out.Reset()
			s.streams["BTCUSDT"].update = 0
			if err := s.Message(b, now, out); err != nil || len(out.Entries) == 0 {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func benchmark(b *testing.B, msg string) {
	s, out := open(b, venue.Trades|venue.Quotes, false)
	m := []byte(msg)
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		s.streams["BTCUSDT"].update = 0
		if err := s.Message(m, now, out); err != nil || len(out.Entries) == 0 {
			b.Fatal(err, len(out.Entries))
		}
	}
}

func BenchmarkTrade(b *testing.B)    { benchmark(b, oneTrade) }
func BenchmarkCombined(b *testing.B) { benchmark(b, combined) }
func BenchmarkQuote(b *testing.B)    { benchmark(b, oneTicker) }
