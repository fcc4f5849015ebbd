package line

import (
	"testing"
	"time"

	"tapedeck/internal/venue"
	"tapedeck/internal/venue/alpaca"
	"tapedeck/internal/venue/binance"
	"tapedeck/internal/venue/bybit"
	"tapedeck/internal/venue/coinbase"
	"tapedeck/internal/venue/finnhub"
	"tapedeck/internal/venue/kraken"
	"tapedeck/internal/venue/massive"
	"tapedeck/internal/venue/okx"
)

// TestDeadLineIsNoticedWithinTwelveSeconds holds the facts of every venue to what the line makes of them: a line counts as dead after
// two heartbeats, and where the venue has none of its own, our pings bring them.
func TestDeadLineIsNoticedWithinTwelveSeconds(t *testing.T) {
	check := func(v venue.Venue, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		tr := v.Traits()
		if tr.Heartbeat <= 0 || 2*tr.Heartbeat > 12*time.Second {
			t.Errorf("%s: a dead line is noticed after %s", tr.Name, 2*tr.Heartbeat)
		}
		if tr.Ping > 0 && tr.Ping <= tr.Heartbeat && 2*tr.Heartbeat-tr.Ping < 2*time.Second {
			t.Errorf("%s: a pong has less than two seconds to come", tr.Name)
		}
		if v.History() != nil && tr.REST <= 0 {
			t.Errorf("%s: requests of history are not spaced", tr.Name)
		}
		if tr.Consecutive && tr.Reorder <= 0 {
			t.Errorf("%s: trades that are not in order count as lost", tr.Name)
		}
	}
	check(coinbase.New(coinbase.Options{}))
	check(binance.New(binance.Options{}))
	check(kraken.New(kraken.Options{}))
	check(okx.New(okx.Options{}))
	check(bybit.New(bybit.Options{}))
	check(alpaca.New(alpaca.Options{Key: "k", Secret: "s"}))
	check(finnhub.New(finnhub.Options{Token: "t"}))
	check(massive.New(massive.Options{Key: "k"}))
}
