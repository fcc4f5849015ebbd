package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// udfHistory is history that rolls bars up to any interval, as the store does, and that knows gaps.
type udfHistory struct {
	*memHistory
	calendars *market.Calendars
	gaps      []market.Gap
}

func (h udfHistory) Bars(ctx context.Context, q market.BarQuery, dst []market.Bar) ([]market.Bar, tape.Position, error) {
	base := q
	base.Interval, base.From, base.To, base.Limit, base.Descending = candle.Base(q.Interval, candle.AlignUTC), 0, 0, math.MaxInt, false
	bars, pos, err := h.memHistory.Bars(ctx, base, nil)
	if err != nil {
		return dst, pos, err
	}
	if q.Interval != base.Interval && len(bars) > 0 {
		roller := candle.Roller{Interval: q.Interval, Calendar: h.calendars.For(q.Symbol.Venue()), AsOf: bars[len(bars)-1].CloseAt}
		if bars, err = roller.Roll(nil, bars); err != nil {
			return dst, pos, err
		}
	}
	bars = slices.DeleteFunc(bars, func(b market.Bar) bool {
		return !b.Priced || q.From != 0 && b.Start < q.From || q.To != 0 && b.Start >= q.To
	})
	if q.Descending {
		slices.Reverse(bars)
	}
	return append(dst, bars[:min(len(bars), q.Limit)]...), pos, nil
}

func (h udfHistory) EachGap(_ context.Context, symbol market.Symbol, from, to market.Time, yield func(market.Gap) error) error {
	for _, g := range h.gaps {
		if (g.Symbol == symbol || g.Symbol == "") && (g.To == 0 || g.From < to && g.To >= from) {
			if err := yield(g); err != nil {
				return err
			}
		}
	}
	return nil
}

// serveUDF serves a tape whose history rolls bars up, and knows gaps.
func serveUDF(t testing.TB, m *tapetest.Memory, change func(*Options), gaps ...market.Gap) *bench {
	return serve(t, m, func(o *Options) {
		h, ok := o.History.(*memHistory)
		if !ok {
			t.Fatal("BUG: not the history in memory")
		}
		set, err := market.NewCalendars().With("test", []byte("calendar fx\nvenues FX\n"))
		if err != nil {
			t.Fatal(err)
		}
		// The machine in the history was made without it; a tape that is served is taken in anew.
		if h.machine, err = candle.New(candle.Options{Calendars: set}); err != nil {
			t.Fatal(err)
		}
		h.rows, h.bars = nil, map[market.Symbol]map[market.Interval]map[market.Time]market.Bar{}
		for _, rec := range m.Records() {
			h.take(rec)
		}
		o.Calendars = set
		o.History = udfHistory{h, set, gaps}
		if change != nil {
			change(o)
		}
	})
}

// at returns a time on the clock of New York.
func at(t testing.TB, text string) market.Time {
	t.Helper()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	when, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return market.FromStd(when)
}

// utc returns the seconds of a time, or of the midnight of a date, in UTC.
func utc(t testing.TB, text string) int64 {
	t.Helper()
	if len(text) == len(time.DateOnly) {
		text += " 00:00"
	}
	when, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return when.Unix()
}

// yearOfTrades is a tape with a stock, a currency pair and a coin around the days on which calendars go wrong.
func yearOfTrades(t testing.TB) *tapetest.Memory {
	t.Helper()
	m := newMemTape()
	m.Chunk = 1000
	seq := map[market.Symbol]uint64{}
	put := func(feed string, s market.Symbol, from, to market.Time, step market.Time) {
		var entries []market.Entry
		for when := from; when < to; when += step {
			seq[s]++
			n := int64(seq[s])
			entries = append(entries, trade(s, seq[s], 10_000+n*37%1000, when))
		}
		m.Put(feed, entries...)
	}
	step := 41 * market.Minute
	for _, day := range []string{
		"2025-12-31", "2026-01-02", "2026-01-05", "2026-03-05", "2026-03-06", "2026-03-09", "2026-03-10", "2026-09-04", "2026-09-08",
		"2026-09-09", "2026-10-30", "2026-11-02", "2026-11-03",
	} {
		put("alpaca", "ALPACA:AAPL", at(t, day+" 04:01"), at(t, day+" 20:00"), step)
		put("fx", "FX:EUR-USD", at(t, day+" 00:05"), at(t, day+" 16:59"), step)
		if day != "2026-01-02" && day != "2026-03-06" && day != "2026-09-04" && day != "2026-10-30" { // not on the evening of a Friday
			put("fx", "FX:EUR-USD", at(t, day+" 17:00"), at(t, day+" 23:59"), step)
		}
		put("coinbase", "COINBASE:BTC-USD", market.Time(utc(t, day))*market.Second, market.Time(utc(t, day)+86_400)*market.Second, step)
	}
	put("alpaca", "ALPACA:AAPL", at(t, "2026-11-25 04:01"), at(t, "2026-11-25 20:00"), step)
	put("alpaca", "ALPACA:AAPL", at(t, "2026-11-27 04:01"), at(t, "2026-11-27 17:00"), step) // a half-day
	return m
}

// udfBar is a bar as a client sees it, with its numbers as they were written.
type udfBar struct {
	Time          int64
	O, H, L, C, V string
}

// udfAnswer is an answer of /udf/history.
type udfAnswer struct {
	S        string `json:"s"`
	Err      string `json:"errmsg"`
	NextTime *int64 `json:"nextTime"`

	T             []int64       `json:"t"`
	O, H, L, C, V []json.Number `json:"-"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *udfAnswer) UnmarshalJSON(data []byte) error {
	type plain udfAnswer
	if err := json.Unmarshal(data, (*plain)(a)); err != nil {
		return err
	}
	var columns map[string]json.RawMessage
	if err := json.Unmarshal(data, &columns); err != nil {
		return err
	}
	for name, to := range map[string]*[]json.Number{"o": &a.O, "h": &a.H, "l": &a.L, "c": &a.C, "v": &a.V} {
		if raw, ok := columns[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// udf makes a request and decodes the answer, which is HTTP 200 and JSON whatever it says.
func (b *bench) udf(path string, to any) {
	b.t.Helper()
	code, h, body := b.get("/udf/" + path)
	if code != 200 || h.Get("Content-Type") != "application/json" {
		b.t.Fatalf("%s: got %d %s %s", path, code, h.Get("Content-Type"), body)
	}
	if err := json.Unmarshal([]byte(body), to); err != nil {
		b.t.Fatalf("%s: %v: %s", path, err, body)
	}
}

// bars asks for history as the client does, and holds the answer to what it may be.
func (b *bench) bars(symbol, resolution string, from, to int64, countback int) ([]udfBar, udfAnswer) {
	b.t.Helper()
	path := fmt.Sprintf("history?symbol=%s&resolution=%s&from=%d&to=%d", url.QueryEscape(symbol), resolution, from, to)
	if countback > 0 {
		path += fmt.Sprintf("&countback=%d", countback)
	}
	var a udfAnswer
	b.udf(path, &a)
	n := len(a.T)
	switch {
	case a.S == "no_data" && n == 0:
		return nil, a
	case a.S != "ok" || n == 0:
		b.t.Fatalf("%s: got %+v", path, a)
	}
	list := make([]udfBar, n)
	for i := range list {
		if len(a.O) != n || len(a.H) != n || len(a.L) != n || len(a.C) != n || len(a.V) != n {
			b.t.Fatalf("%s: the columns differ in length: %+v", path, a)
		}
		if i > 0 && a.T[i] <= a.T[i-1] {
			b.t.Fatalf("%s: time %d follows %d", path, a.T[i], a.T[i-1])
		}
		if a.T[i] >= to {
			b.t.Fatalf("%s: got a bar at %d", path, a.T[i])
		}
		list[i] = udfBar{a.T[i], string(a.O[i]), string(a.H[i]), string(a.L[i]), string(a.C[i]), string(a.V[i])}
	}
	if countback > 0 && n > countback {
		b.t.Fatalf("%s: got %d bars", path, n)
	}
	return list, a
}

// alpacaBars returns all bars of a symbol by /v2/stocks/bars. Time is their start.
func (b *bench) alpacaBars(symbol, frame string) []udfBar {
	b.t.Helper()
	code, _, body := b.get("/v2/stocks/bars?symbols=" + symbol + "&timeframe=" + frame + "&start=2020-01-01&limit=10000")
	var a struct {
		Bars map[string][]struct {
			T             time.Time
			O, H, L, C, V json.Number
		}
		Next *string `json:"next_page_token"`
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || code != 200 || a.Next != nil {
		b.t.Fatalf("got %d %v %.300s", code, err, body)
	}
	var list []udfBar
	for _, x := range a.Bars[symbol] {
		list = append(list, udfBar{x.T.Unix(), string(x.O), string(x.H), string(x.L), string(x.C), string(x.V)})
	}
	slices.SortFunc(list, func(a, b udfBar) int { return cmp.Compare(a.Time, b.Time) })
	return list
}

// refused makes a request that must be answered by an error, and returns what it says.
func (b *bench) refused(path string) string {
	b.t.Helper()
	var a udfAnswer
	b.udf(path, &a)
	if a.S != "error" || strings.TrimSpace(a.Err) == "" {
		b.t.Fatalf("%s: got %+v", path, a)
	}
	return a.Err
}

// checkUDF makes a request without a connection, and holds the answer to what the protocol promises whatever was asked.
func checkUDF(t *testing.T, routes http.Handler, path, query string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/udf/"+path, nil)
	r.URL.RawQuery = query
	w := httptest.NewRecorder()
	routes.ServeHTTP(w, r)
	if w.Code != http.StatusOK && w.Code != http.StatusRequestURITooLong && w.Code != http.StatusRequestHeaderFieldsTooLarge {
		t.Fatalf("%s?%q: got %d", path, query, w.Code)
	}
	body := w.Body.Bytes()
	if !json.Valid(body) || bytes.HasPrefix(body, []byte(`{"s":"ok","t":[]`)) {
		t.Fatalf("%s?%q: got %s", path, query, body)
	}
}
