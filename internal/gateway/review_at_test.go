package gateway

import (
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// TestReceiptOfABarToCome asks for the receipt of a bar whose venue is ahead of our clock: there is no time yet to tell the coverage of.
func TestReceiptOfABarToCome(t *testing.T) {
	m := newMemTape()
	minute := past0.Floor(market.Minute) + market.Minute
	e := trade("SIM:A", 1, 100, minute)
	e.Received = minute - 2*market.Second
	m.Put("sim", e)
	b := serve(t, m, nil)
	code, _, body := b.get("/v1/receipt?symbol=A&timeframe=1Min&t=" + minute.String() + "&at=" + (minute - market.Second).String())
	if code != 200 || !strings.Contains(body, `"matches":true,`) || !strings.Contains(body, `"coverage":[]`) {
		t.Errorf("got %d %s", code, body)
	}
}
