package gateway

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/latency"
	"tapedeck/internal/market"
)

// twoFeeds are one on which all is well, and one that has been through everything.
func twoFeeds() []FeedInfo {
	ms := time.Millisecond
	return []FeedInfo{
		{
			Name: "sim", URL: "sim://?symbols=MSFT&rate=2/s&seed=1", State: "live", Since: t0 - market.Minute, Rate: 2.25, LastTick: t0, Latency: 1_500_000,
			Symbols: 1, Label: "SIM", Venue: "SIM", Carried: []market.Symbol{"SIM:MSFT"}, Connections: 1,
		},
		{
			Name: "coinbase", URL: "coinbase://BTC-USD,DOGE-XYZ?key=***", State: "down", Since: t0, Error: "no route to host", Latency: -1, Symbols: 1, Venue: "COINBASE",
			Carried: []market.Symbol{"COINBASE:BTC-USD"}, Reconnects: 3, ClockOffset: -40 * ms, ClockKnown: true,
			Received: latency.Summary{N: 12, P50: 40 * ms, P99: 250 * ms, Buckets: []latency.Bucket{{To: 65536 * time.Microsecond, N: 11}, {To: 131072 * time.Microsecond}, {To: 262144 * time.Microsecond, N: 1}}},
			Taped:    latency.Summary{N: 12, P50: ms / 2, P99: ms, Buckets: []latency.Bucket{{To: 1024 * time.Microsecond, N: 12}}},
			Filled:   1, Unfilled: 1, Backfilled: 7, Duplicates: 2, Dropped: map[string]uint64{"unusable": 1, "buffer_full": 5},
			Refused: []RefusedSymbol{{"COINBASE:DOGE-XYZ", "no such product"}},
			Gaps: []FeedGap{
				{From: t0, To: t0 + 5*market.Second, Reason: "disconnected: no route to host", Noted: t0 + 6*market.Second},
				{Symbol: "COINBASE:BTC-USD", From: t0 - market.Minute, To: t0 - 58*market.Second, Reason: "numbers 41 to 47 did not come", Filled: true, Ticks: 7, Noted: t0 - 57*market.Second},
			},
		},
	}
}

// undated replaces in an answer of /v1/feeds what depends on when it was given.
func undated(body string) string {
	body = regexp.MustCompile(`"age":[0-9.]+`).ReplaceAllString(body, `"age":0.25`)
	return regexp.MustCompile(`"sent":.+}$`).ReplaceAllString(body, `"sent":`+hundredMicros+`}`)
}

// hundredMicros is what is said of one message that took as long.
const hundredMicros = `{"count":1,"p50":0.000112,"p99":0.000112,"buckets":[{"to":0.000128,"n":1}]}`

func TestFeeds(t *testing.T) {
	b := serve(t, newMemTape(), func(o *Options) { o.Feeds = twoFeeds })
	want := `{"feeds":[{"name":"sim","url":"sim://?symbols=MSFT&rate=2/s&seed=1","state":"live","since":"2026-11-23T14:29:00Z","error":"","rate":2.25,` +
		`"lastTick":"2026-11-23T14:30:00Z","age":0.25,"latency":0.0015,"symbols":1,"label":"SIM","venue":"SIM","carried":["SIM:MSFT"],"connections":1,"reconnects":0,` +
		`"clockOffset":null,"delays":{"received":null,"taped":null},"gapsFilled":0,"gapsUnfilled":0,"backfilled":0,"duplicates":0,"dropped":{},"refused":[],"gaps":[]},` +
		`{"name":"coinbase","url":"coinbase://BTC-USD,DOGE-XYZ?key=***","state":"down","since":"2026-11-23T14:30:00Z","error":"no route to host","rate":0,` +
		`"lastTick":null,"age":null,"latency":null,"symbols":1,"label":"","venue":"COINBASE","carried":["COINBASE:BTC-USD"],"connections":0,"reconnects":3,` +
		`"clockOffset":-0.04,"delays":{"received":{"count":12,"p50":0.04,"p99":0.25,"buckets":[{"to":0.065536,"n":11},{"to":0.131072,"n":0},{"to":0.262144,"n":1}]},` +
		`"taped":{"count":12,"p50":0.0005,"p99":0.001,"buckets":[{"to":0.001024,"n":12}]}},"gapsFilled":1,"gapsUnfilled":1,"backfilled":7,"duplicates":2,` +
		`"dropped":{"buffer_full":5,"unusable":1},"refused":[{"symbol":"COINBASE:DOGE-XYZ","reason":"no such product"}],"gaps":[` +
		`{"symbol":"*","from":"2026-11-23T14:30:00Z","to":"2026-11-23T14:30:05Z","reason":"disconnected: no route to host","filled":false,"ticks":0,"noted":"2026-11-23T14:30:06Z"},` +
		`{"symbol":"COINBASE:BTC-USD","from":"2026-11-23T14:29:00Z","to":"2026-11-23T14:29:02Z","reason":"numbers 41 to 47 did not come","filled":true,"ticks":7,"noted":"2026-11-23T14:29:03Z"}]}],` +
		`"sent":` + hundredMicros + `}`
	want = strings.ReplaceAll(want, "&", `\u0026`)
	code, _, body := b.get("/v1/feeds")
	if code != 200 || !strings.Contains(body, `"sent":null`) || undated(strings.TrimSpace(body)) != want {
		t.Errorf("got %d %s", code, body)
	}
	b.g.metrics.sent.observe(time.Now(), 100*time.Microsecond)
	if _, _, body := b.get("/v1/feeds"); !strings.Contains(body, `"sent":`+hundredMicros+"}") {
		t.Errorf("got %s", body)
	}
	// What feeds are is of now only.
	if code, _, body := b.get("/v1/feeds?at=2026-11-23"); code != 400 {
		t.Errorf("got %d %s", code, body)
	}
}
