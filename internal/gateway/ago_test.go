package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/market"
)

// TestTimesAgo says in every parameter that is a time how long ago it was.
func TestTimesAgo(t *testing.T) {
	m := newMemTape()
	now := market.FromStd(time.Now())
	m.Put("sim", tick("SIM:A", 1, now-20*market.Minute), tick("SIM:A", 2, now-5*market.Minute))
	b := serve(t, m, nil)
	for path, want := range map[string]string{
		"/v2/stocks/trades?symbols=SIM:A&start=10m":                     `"seq":2`,
		"/v2/stocks/trades?symbols=SIM:A&start=-1h&end=10m":             `"seq":1`,
		"/history?symbol=SIM:A&from=1h30m&to=600s":                      `"id":1`,
		"/v2/stocks/trades/latest?symbols=SIM:A&at=10m":                 `"seq":1`,
		"/v1/coverage?symbol=SIM:A&from=10m":                            `"spans"`,
		"/v1/receipt?symbol=SIM:A&timeframe=1Min&t=5m":                  `"receipt"`,
		"/v2/stocks/bars?symbols=SIM:A&timeframe=1Min&start=2h&end=10m": `"n":1`,
	} {
		status, _, text := b.get(path)
		if strings.Contains(path, "receipt") || strings.Contains(path, "coverage") {
			if status == http.StatusBadRequest && strings.Contains(text, "must be a time") {
				t.Errorf("%s: got %d %s", path, status, text)
			}
			continue
		}
		if status != http.StatusOK || strings.Count(text, want) != 1 || strings.Count(text, `"seq"`)+strings.Count(text, `"id"`)+strings.Count(text, `"n"`) != 1 {
			t.Errorf("%s: got %d %s, want one row with %s", path, status, text, want)
		}
	}
	for _, bad := range []string{"10", "--10m", "10 m", "noon"} {
		if status, _, text := b.get("/history?from=" + strings.ReplaceAll(bad, " ", "%20")); bad != "10" && status != http.StatusBadRequest {
			t.Errorf("from=%s: got %d %s", bad, status, text)
		}
	}
}

// TestPlayAgo plays from how long ago, by an order and by an address.
func TestPlayAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		minuteOfTicks(m)
		v := watchTape(t, m, manner{}, nil)
		v.do(`{"action":"subscribe","trades":["*"]}`)
		v.do(`{"action":"play","from":"30s","speed":"max"}`)
		v.watch(time.Second)
		if got := strings.Split(v.lines("t"), ","); len(got) != 31 || got[0] != "t SIM:A 30" {
			t.Errorf("got %d trades, the first %s", len(got), got[0])
		}
		o, err := params{"from": "30s", "to": "10s"}.order()
		if err != nil || fmt.Sprint(time.Duration(o.to-o.from.time)) != "20s" {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}
