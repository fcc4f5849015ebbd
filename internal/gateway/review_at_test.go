package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

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

// slowHistory answers nothing before it must.
type slowHistory struct{ *memHistory }

func (slowHistory) Ticks(ctx context.Context, _ market.TickQuery, _ func(*market.Row) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestQuestionsThatTakeTooLong asks for the day of a moment of a history that does not answer, in pages and as a file: the time of a question
// bounds that too, and the client is told so.
func TestQuestionsThatTakeTooLong(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, past0))
	b := serve(t, m, func(o *Options) {
		h, ok := o.History.(*memHistory)
		if !ok {
			t.Fatal("the history of the tests is another one")
		}
		o.History = slowHistory{h}
		o.Limits.QueryTime = 10 * time.Millisecond
	})
	for _, format := range []string{"json", "csv"} {
		code, _, body := b.get("/v2/stocks/A/trades?format=" + format + "&at=" + (past0 + market.Hour).String())
		if code != http.StatusServiceUnavailable || !strings.Contains(body, "the request took too long") {
			t.Errorf("%s: got %d %s", format, code, body)
		}
	}
}
