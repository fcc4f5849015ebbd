package server

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

type toldSpan struct {
	From, To time.Time
	State    string
}

type toldCoverage struct {
	From, To time.Time
	Seconds  map[string]int64
	Spans    []toldSpan
	Next     *time.Time
}

func (p *past) coverage(query string) toldCoverage {
	p.t.Helper()
	code, text := p.get("/v1/coverage?" + query)
	var c toldCoverage
	if err := json.Unmarshal([]byte(text), &c); code != 200 || err != nil {
		p.t.Fatalf("%s: got %d %s, %v", query, code, text, err)
	}
	return c
}

// clock is a time of the 12th of March 2024 in UTC, or of the days after it.
func clock(day, hour, minute, second int) market.Time {
	return market.FromStd(time.Date(2024, 3, 12+day, hour, minute, second, 0, time.UTC))
}

func trader(symbol market.Symbol) func(at market.Time, flags market.Flags) market.Entry {
	seq := uint64(0)
	return func(at market.Time, flags market.Flags) market.Entry {
		seq++
		price, _ := market.NewDecimal(100, 0)
		return market.Entry{Kind: market.KindTrade, Symbol: symbol, Seq: seq, Event: at, Received: at + 1000, Price: price, Size: price, Flags: flags}
	}
}

// TestCoverageTellsAStory follows a stock through two days: a feed that connects, falls silent, goes down, comes back and fetches what it missed,
// a server that is off over night, and a file.
func TestCoverageTellsAStory(t *testing.T) {
	src := &tapetest.Memory{Epoch: tape.Epoch{9}, Chunk: 50}
	const s = market.Symbol("NASDAQ:ABC")
	trade := trader(s)
	beat := func(from, to market.Time) {
		for at := from; at <= to; at += 5 * market.Second {
			src.Put("nasdaq", market.Heartbeat{Event: at, Received: at}.Entry())
		}
	}
	// Connected before the open (New York opens at 13:30); the first trade at 13:31, then one each 20 s until 14:00.
	beat(clock(0, 13, 29, 0), clock(0, 13, 31, 0))
	for at := clock(0, 13, 31, 0); at <= clock(0, 14, 0, 0); at += 20 * market.Second {
		src.Put("nasdaq", trade(at, 0))
		beat(at+5*market.Second, at+15*market.Second)
	}
	beat(clock(0, 14, 0, 20), clock(0, 14, 10, 0)) // nothing trades
	src.Put("nasdaq", trade(clock(0, 14, 10, 0), 0))
	beat(clock(0, 14, 10, 5), clock(0, 14, 10, 30))
	src.Put("nasdaq", market.Entry{Kind: market.KindStatus, State: market.StateDown, Event: clock(0, 14, 10, 30), Received: clock(0, 14, 10, 30)})
	// Back at 14:20. From 14:12 to 14:14 the venue still had the trades, and some from 14:14 to 14:15.
	for at := clock(0, 14, 12, 0); at <= clock(0, 14, 15, 0); at += 10 * market.Second {
		e := trade(at, market.FlagBackfilled)
		e.Received = clock(0, 14, 20, 1)
		src.Put("nasdaq", e)
	}
	for _, gap := range []market.Gap{
		{From: clock(0, 14, 10, 0), To: clock(0, 14, 12, 0), Reason: "disconnected"},
		{From: clock(0, 14, 12, 0), To: clock(0, 14, 14, 0), Reason: "disconnected", Flags: market.FlagFilled},
		{From: clock(0, 14, 14, 0), To: clock(0, 14, 20, 2), Reason: "disconnected"},
	} {
		e := gap.Entry()
		e.Received = clock(0, 14, 20, 2)
		src.Put("nasdaq", e)
	}
	src.Put("nasdaq", trade(clock(0, 14, 20, 2), 0))
	beat(clock(0, 14, 20, 2), clock(0, 14, 20, 50))
	// The server is off from here on, until the next day after the open. Of the evening there is a file.
	for at := clock(0, 18, 0, 0); at < clock(0, 18, 5, 0); at += 30 * market.Second {
		e := trade(at, market.FlagImported|market.FlagHistory)
		e.Received = clock(1, 14, 0, 0)
		src.Put("import", e)
	}
	src.Put("nasdaq", trade(clock(1, 14, 0, 0), 0))
	p := pastOf(t, src)

	span := func(from, to market.Time, state string) toldSpan { return toldSpan{from.Std(), to.Std(), state} }
	got := p.coverage("symbol=NASDAQ:ABC&from=2024-03-12T13:00:00Z&to=2024-03-13T14:00:01Z")
	want := []toldSpan{
		span(clock(0, 13, 0, 0), clock(0, 13, 31, 0), "blind"), // before it was first seen, connected or not
		span(clock(0, 13, 31, 0), clock(0, 14, 0, 1), "live"),
		span(clock(0, 14, 0, 1), clock(0, 14, 10, 0), "quiet"),
		span(clock(0, 14, 10, 0), clock(0, 14, 12, 0), "blind"), // nothing is sure from the last trade on: the gap says so
		span(clock(0, 14, 12, 0), clock(0, 14, 14, 0), "backfilled"),
		span(clock(0, 14, 14, 0), clock(0, 14, 20, 2), "blind"), // trades of its first minute were fetched, but not all: the gap says so
		span(clock(0, 14, 20, 2), clock(0, 14, 20, 48), "live"), // the last sign of life is at 47
		span(clock(0, 14, 20, 48), clock(0, 18, 0, 0), "blind"), // the server is off
		span(clock(0, 18, 0, 0), clock(0, 18, 4, 31), "imported"),
		span(clock(0, 18, 4, 31), clock(1, 0, 0, 0), "blind"),
		span(clock(1, 0, 0, 0), clock(1, 8, 0, 0), "closed"), // from the end of the late session to the beginning of the early one
		span(clock(1, 8, 0, 0), clock(1, 14, 0, 0), "blind"),
		span(clock(1, 14, 0, 0), clock(1, 14, 0, 1), "live"),
	}
	if diff := gocmp.Diff(want, got.Spans); diff != "" {
		t.Error(diff)
	}
	if got.Seconds["closed"] != 8*3600 || got.Seconds["backfilled"] != 120 {
		t.Errorf("seconds: %v", got.Seconds)
	}
	// At 14:20 of that day nobody knew of the trades that were fetched a second later, nor of the file.
	got = p.coverage("symbol=ABC&from=2024-03-12T14:00:30Z&to=2024-03-12T15:00:00Z&at=2024-03-12T14:20:00Z")
	want = []toldSpan{
		span(clock(0, 14, 0, 30), clock(0, 14, 10, 0), "quiet"), span(clock(0, 14, 10, 0), clock(0, 14, 20, 0), "blind"),
	}
	if diff := gocmp.Diff(want, got.Spans); diff != "" {
		t.Error(diff)
	}
	// Of the file, which came a day later, what had happened by then is known, as of its trades.
	got = p.coverage("symbol=ABC&from=2024-03-12T17:59:00Z&to=2024-03-12T19:00:00Z&at=2024-03-12T18:02:00Z")
	want = []toldSpan{
		span(clock(0, 17, 59, 0), clock(0, 18, 0, 0), "blind"), span(clock(0, 18, 0, 0), clock(0, 18, 2, 0), "imported"),
	}
	if diff := gocmp.Diff(want, got.Spans); diff != "" {
		t.Error(diff)
	}
	// In pages.
	page := p.coverage("symbol=ABC&from=2024-03-12T13:00:00Z&to=2024-03-13T14:00:01Z&limit=3")
	if len(page.Spans) != 3 || page.Next == nil || !page.Next.Equal(clock(0, 14, 10, 0).Std()) {
		t.Errorf("a page: %+v", page)
	}
	for query, says := range map[string]string{
		"symbol=NOPE": "no such symbol", "symbol=ABC&from=2024-03-12&to=2024-03-11": "must not be before", "symbol=ABC&from=2000-01-01": "eleven years",
		"symbol=ABC&at=2200-01-01": "future", "symbol=ABC&limit=0": "whole number", "symbol=ABC&from=2200-01-01": "before now", "": "no such symbol",
	} {
		if code, text := p.get("/v1/coverage?" + query); code == 200 || !strings.Contains(text, says) {
			t.Errorf("%s: got %d %s", query, code, text)
		}
	}
}

// TestCoverageTilesTheSpan asks for random spans: they are covered without holes and overlaps, and no second changes with the span that it is asked in.
func TestCoverageTilesTheSpan(t *testing.T) {
	for seed := range uint64(3) {
		p := pastOf(t, tapeAt(script(seed), 1<<62))
		r := rand.New(rand.NewPCG(seed, 13))
		for range 30 {
			symbol := []string{"SIM:BTC-USD", "NASDAQ:ABC", "SIM:RARE-USD"}[r.IntN(3)]
			from := begin2024.Floor(market.Second) + market.Time(r.IntN(200_000)-40_000)*market.Second
			to := from + market.Time(1+r.IntN(90_000))*market.Second
			at := ""
			if r.IntN(2) == 0 {
				at = "&at=" + url.QueryEscape((to + market.Hour - market.Time(r.IntN(100_000))*market.Second/10).String())
			}
			ask := func(from, to market.Time) toldCoverage {
				return p.coverage(fmt.Sprintf("symbol=%s&from=%s&to=%s%s", symbol, from, to, at))
			}
			if at != "" {
				if code, _ := p.get(fmt.Sprintf("/v1/coverage?symbol=%s&from=%s&to=%s%s", symbol, from, to, at)); code == 400 {
					continue // the moment is before the span
				}
			}
			whole := ask(from, to)
			end := from.Std()
			for i, s := range whole.Spans {
				if !s.From.Equal(end) || !s.To.After(s.From) || i > 0 && whole.Spans[i-1].State == s.State {
					t.Fatalf("span %d of %+v", i, whole.Spans)
				}
				end = s.To
			}
			if !end.Equal(whole.To) || !whole.From.Equal(from.Std()) {
				t.Fatalf("the spans end at %s, want %s", end, whole.To)
			}
			second := from + market.Time(r.Int64N(int64(whole.To.Sub(whole.From)/time.Second)))*market.Second
			for _, s := range whole.Spans {
				if !second.Std().Before(s.From) && second.Std().Before(s.To) {
					if one := ask(second, second+market.Second); len(one.Spans) != 1 || one.Spans[0].State != s.State {
						t.Fatalf("seed %d, %s of %s: %+v alone, %s within %s to %s", seed, second, symbol, one.Spans, s.State, from, to)
					}
				}
			}
		}
	}
}

// TestBarsCarryTheirCoverage compares what bars say of their seconds with the ledger, and with their length.
func TestBarsCarryTheirCoverage(t *testing.T) {
	p := pastOf(t, tapeAt(script(1), 1<<62))
	for _, frame := range []string{"1Min", "5Min", "1Hour", "1Day"} {
		for _, order := range []string{"asc", "desc"} {
			code, text := p.get("/v2/stocks/SIM:BTC-USD/bars?coverage=true&start=2024-03-12&limit=50&timeframe=" + frame + "&sort=" + order)
			var page struct {
				Bars []struct {
					When time.Time        `json:"t"`
					Cov  map[string]int64 `json:"cov"`
				}
			}
			if err := json.Unmarshal([]byte(text), &page); code != 200 || err != nil || len(page.Bars) == 0 {
				t.Fatalf("%s: got %d %s, %v", frame, code, text, err)
			}
			length := map[string]time.Duration{"1Min": time.Minute, "5Min": 5 * time.Minute, "1Hour": time.Hour, "1Day": 24 * time.Hour}[frame]
			for _, bar := range page.Bars {
				end := bar.When.Add(length)
				c := p.coverage("symbol=SIM:BTC-USD&from=" + bar.When.Format(time.RFC3339) + "&to=" + end.Format(time.RFC3339))
				if diff := gocmp.Diff(c.Seconds, bar.Cov); diff != "" {
					t.Errorf("%s bar at %s: %s", frame, bar.When, diff)
				}
			}
		}
	}
	if code, text := p.get("/v2/stocks/SIM:BTC-USD/bars?coverage=maybe&timeframe=1Min"); code != 400 || !strings.Contains(text, "false, true") {
		t.Errorf("got %d %s", code, text)
	}
	if _, text := p.get("/v2/stocks/SIM:BTC-USD/bars?start=2024-03-12&timeframe=1Min"); strings.Contains(text, "cov") {
		t.Errorf("who did not ask is told as well: %.200s", text)
	}
}

// TestLatestAsOfAMoment compares what was the latest at moments with what had come by then, when nothing that came last was late.
func TestLatestAsOfAMoment(t *testing.T) {
	for seed := range uint64(3) {
		records := script(seed)
		p := pastOf(t, tapeAt(records, 1<<62))
		latest := map[market.Symbol]market.Entry{}
		checked := 0
		for _, rec := range records {
			for _, e := range rec.Entries {
				if e.Kind != market.KindTrade || e.Flags != 0 || e.Event > e.Received+10*market.Second {
					continue
				}
				late := e.Event < latest[e.Symbol].Event
				latest[e.Symbol] = e
				if late || checked%3 != 0 {
					checked++
					continue
				}
				checked++
				_, text := p.get("/v2/stocks/" + string(e.Symbol) + "/trades/latest?at=" + e.Received.String())
				if want := fmt.Sprintf(`"seq":%d,`, e.Seq); !strings.Contains(text, want) {
					// One that was received at the same moment may be after it.
					if !strings.Contains(text, `"r":"`+e.Received.String()+`"`) {
						t.Fatalf("seed %d: at %s the latest of %s is %s, want %s", seed, e.Received, e.Symbol, text, want)
					}
				}
			}
		}
	}
}
