package market_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/market"
)

func TestParseSymbol(t *testing.T) {
	for in, want := range map[string]market.Symbol{
		"SIM:AAPL": "SIM:AAPL", "sim:aapl": "SIM:AAPL", "COINBASE:BTC-USD": "COINBASE:BTC-USD", "YAHOO:^GSPC": "YAHOO:^GSPC",
		"BINANCE:BTCUSD_PERP": "BINANCE:BTCUSD_PERP", "A:B:C": "A:B:C", "ALPACA:BTC/USD": "ALPACA:BTC/USD", "NYSE:BRK.B": "NYSE:BRK.B",
	} {
		if got, err := market.ParseSymbol(in); err != nil || got != want {
			t.Errorf("ParseSymbol(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", ":", "AAPL", ":AAPL", "SIM:", "SIM:A B", "SIM:A\x00", "SIM:<script>", "S/M:A", "SIM:É", "SIM:" + strings.Repeat("A", 61), `SIM:A"`} {
		if got, err := market.ParseSymbol(in); !errors.Is(err, market.ErrSymbol) {
			t.Errorf("ParseSymbol(%q) = %q, %v, want ErrSymbol", in, got, err)
		}
	}
	if s := market.Symbol("A:B:C"); s.Venue() != "A" || s.Name() != "B:C" {
		t.Errorf("got venue %q and name %q", s.Venue(), s.Name())
	}
}

func TestTimeFormatsLikeStd(t *testing.T) {
	for _, v := range []market.Time{0, 1, -1, 999_999_999, 1_000_000_000, 951_782_400_000_000_000, 1_381_132_800_464_000_000, -6_795_364_578_871_345_152, 9_183_110_400_000_000_000, 1_709_164_800_123_456_789} {
		if got, want := v.String(), v.Std().Format(time.RFC3339Nano); got != want {
			t.Errorf("%d formats as %s, want %s", int64(v), got, want)
		}
		if got, err := market.ParseTime(v.String()); err != nil || got != v {
			t.Errorf("%s reads back as %d, %v, want %d", v, int64(got), err, int64(v))
		}
	}
	for day := market.Time(-100_000); day < 50_000; day += 7 {
		v := day*24*market.Hour + 12345
		if got, want := v.String(), v.Std().Format(time.RFC3339Nano); got != want {
			t.Fatalf("day %d formats as %s, want %s", day, got, want)
		}
	}
	for _, s := range []string{"", "2026", "2026-13-01T00:00:00Z", "2300-01-01T00:00:00Z", "1677-01-01T00:00:00Z", "2026-11-23 14:30:00"} {
		if got, err := market.ParseTime(s); err == nil {
			t.Errorf("ParseTime(%q) = %v, want an error", s, got)
		}
	}
}

func TestTimeFloorBefore1970(t *testing.T) {
	for _, c := range [][3]market.Time{{61 * market.Second, market.Minute, market.Minute}, {-1, market.Second, -market.Second}, {-market.Second, market.Second, -market.Second}, {0, market.Hour, 0}} {
		if got := c[0].Floor(c[1]); got != c[2] {
			t.Errorf("Floor(%d, %d) = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestParseInterval(t *testing.T) {
	for in, want := range map[string]string{
		"1Min": "1Min", "1m": "1Min", "15T": "15Min", "1s": "1Sec", "1Sec": "1Sec", "4h": "4Hour", "1D": "1Day", "1Day": "1Day", "1w": "1Week",
		"1M": "1Month", "3Month": "3Month", "Min": "1Min", "59Min": "59Min",
	} {
		if got, err := market.ParseInterval(in); err != nil || got.String() != want {
			t.Errorf("ParseInterval(%q) = %v, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0Min", "-1Min", "1", "1x", "60Min", "24Hour", "2Day", "13Month", "99999999999999999999s", "1.5h", "1 Min"} {
		if got, err := market.ParseInterval(in); err == nil {
			t.Errorf("ParseInterval(%q) = %v, want an error", in, got)
		}
	}
}

func TestEntryViewsRoundTrip(t *testing.T) {
	trade := market.Trade{Symbol: "SIM:A", Seq: 1, Event: 2, Received: 3, Price: dec(t, "1.5"), Size: dec(t, "2"), Side: market.SideSell, ID: 4, Ref: "r", Exchange: "V", Conditions: "@", Tape: 'A', Flags: market.FlagBackfilled}
	if e := trade.Entry(); e.Trade() != trade || !e.IsTick() {
		t.Errorf("got %+v", e)
	}
	quote := market.Quote{Symbol: "SIM:A", Seq: 1, Event: 2, Received: 3, Bid: dec(t, "1"), BidSize: dec(t, "2"), Ask: dec(t, "3"), AskSize: dec(t, "4"), BidFrom: "V", AskFrom: "V", Conditions: "R", Tape: 'C'}
	if e := quote.Entry(); e.Quote() != quote || e.AskFrom != "" || !e.IsTick() {
		t.Errorf("got %+v", e)
	}
	gap := market.Gap{Symbol: "SIM:A", From: 1, To: 2, Reason: "r", Flags: market.FlagFilled}
	if e := gap.Entry(); e.Gap() != gap || e.IsTick() {
		t.Errorf("got %+v", e)
	}
	status := market.Status{Symbol: "SIM:A", State: market.StateStale, Event: 5, Reason: "silent"}
	if e := status.Entry(); e.Status() != status {
		t.Errorf("got %+v", e)
	}
	alarm := market.Alarm{Symbol: "SIM:A", Seq: 9, Event: 5, Price: dec(t, "1.5"), Text: "2% move!"}
	if e := alarm.Entry(); e.Alarm() != alarm {
		t.Errorf("got %+v", e)
	}
	beat := market.Heartbeat{Event: 5, Received: 6}
	if e := beat.Entry(); e.Heartbeat() != beat {
		t.Errorf("got %+v", e)
	}
}
