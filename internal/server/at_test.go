package server

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
	"tapedeck/internal/store"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// past is history and a gateway over a tape in memory.
type past struct {
	t       testing.TB
	store   *store.Store
	handler http.Handler
}

// pastOf records a tape and serves it, until the test ends.
func pastOf(t testing.TB, src *tapetest.Memory) *past {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	recorded := make(chan error, 1)
	go func() { recorded <- store.NewRecorder(s, src).Run(ctx) }()
	for {
		if _, applied := s.Applied(); applied >= src.Bounds().Last {
			break
		}
		runtime.Gosched()
	}
	g, err := gateway.New(gateway.Options{Tape: src, History: s, Limits: gateway.Limits{Symbols: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Run(ctx) }()
	<-g.Started()
	t.Cleanup(func() {
		cancel()
		for _, c := range []chan error{recorded, served} {
			if err := <-c; err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &past{t, s, g.Handler()}
}

// get asks for a path, and returns the answer.
func (p *past) get(path string) (int, string) {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://localhost"+path, nil)
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// begin2024 is a Tuesday, half an hour before New York opens: a moment that is past wherever the tests run.
var begin2024 = market.FromStd(time.Date(2024, 3, 12, 13, 0, 0, 0, time.UTC))

// script is a random tape of two days: a coin and a stock, whose trades come late, out of order and with conditions, quotes, gaps, and files
// that are imported meanwhile. The entries are in the order of their arrival.
func script(seed uint64) []*tape.Batch {
	r := rand.New(rand.NewPCG(seed, 11))
	symbols := []market.Symbol{"SIM:BTC-USD", "NASDAQ:ABC", "ALPACA:ABC", "SIM:RARE-USD"}
	conditions := []string{"", "", "", "@", "T", "I", "6", "Z", "@,T", "9", "M"}
	seqs := map[market.Symbol]uint64{}
	quotes := map[market.Symbol]uint64{}
	now := begin2024
	var records []*tape.Batch
	for range 400 {
		var entries []market.Entry

		for range 1 + r.IntN(4) {
			s := symbols[r.IntN(3)]
			if r.IntN(30) == 0 {
				s = symbols[3]
			}
			price, _ := market.NewDecimal(10_000+r.Int64N(300), -2)
			size, _ := market.NewDecimal(1+r.Int64N(50), 0)
			e := market.Entry{Kind: market.KindTrade, Symbol: s, Event: now, Received: now + market.Time(r.IntN(1000))*1_000_000, Price: price, Size: size}
			switch r.IntN(14) {
			case 0:
				e.Event -= market.Time(r.IntN(90)) * market.Second
			case 1:
				e.Event -= market.Time(r.IntN(30)) * market.Hour
				e.Flags = market.FlagBackfilled
			case 2:
				e.Event -= market.Time(r.IntN(5000)) * market.Second
				e.Flags = market.FlagImported | market.FlagHistory
			case 3:
				e.Event += market.Time(r.IntN(20)) * market.Second // its clock is ahead
			case 4:
				e.Kind, e.Ask, e.AskSize = market.KindQuote, price, size
			}
			if strings.HasPrefix(string(s), "NASDAQ") || strings.HasPrefix(string(s), "ALPACA") {
				e.Conditions = conditions[r.IntN(len(conditions))]
			}
			entries = append(entries, e)
		}
		slices.SortStableFunc(entries, func(a, b market.Entry) int { return int(a.Received - b.Received) })
		for i := range entries {
			e := &entries[i]
			if e.Kind == market.KindTrade {
				seqs[e.Symbol]++
				e.Seq = seqs[e.Symbol]
			} else {
				quotes[e.Symbol]++
				e.Seq = quotes[e.Symbol]
			}
		}
		if r.IntN(25) == 0 {
			g := market.Gap{From: now - 70*market.Second, To: now, Reason: "test"}.Entry()
			g.Received = entries[0].Received
			entries = append([]market.Entry{g}, entries...)
		}
		records = append(records, &tape.Batch{Feed: "sim", Entries: entries})
		now += market.Second + market.Time(r.IntN(200))*market.Second
		if r.IntN(60) == 0 {
			now += market.Time(r.IntN(8)) * market.Hour
		}
	}
	return records
}

// tapeAt is the tape of what was known at a moment of a script.
func tapeAt(records []*tape.Batch, at market.Time) *tapetest.Memory {
	src := &tapetest.Memory{Epoch: tape.Epoch{9}, Chunk: 100}
	for _, rec := range records {
		var known []market.Entry
		for _, e := range rec.Entries {
			switch {
			case e.Flags&market.FlagImported != 0:
				if e.Event > at {
					continue
				}
			case e.Received > at || e.IsTick() && e.Event > at+10*market.Second:
				continue
			}
			known = append(known, e)
		}
		if len(known) > 0 {
			src.Put(rec.Feed, known...)
		}
	}
	return src
}

// TestAnswersAsOfAMoment asks everything as of random moments, and compares the answers with those of a server that knows nothing more than
// what was known then.
func TestAnswersAsOfAMoment(t *testing.T) {
	const forever = market.Time(1 << 62)
	for seed := range uint64(2) {
		records := script(seed)
		now := pastOf(t, tapeAt(records, forever))
		r := rand.New(rand.NewPCG(seed, 12))
		last := records[len(records)-1].Entries[0].Received
		for range 4 {
			at := begin2024 + market.Time(r.Int64N(int64(last-begin2024)))
			if r.IntN(2) == 0 { // just when something came
				entries := records[r.IntN(len(records))].Entries
				at = entries[r.IntN(len(entries))].Received
			}
			then := pastOf(t, tapeAt(records, at))
			for _, path := range questions(r) {
				joint := "?"
				if strings.Contains(path, "?") {
					joint = "&"
				}
				wantCode, want := then.get(path)
				code, got := now.get(path + joint + "at=" + url.QueryEscape(at.String()))
				if strings.Contains(want, "no such symbol") || strings.Contains(want, "unknown_symbol") {
					continue // it was not known yet
				}
				if code != wantCode || tidy(t, got) != tidy(t, want) {
					t.Fatalf("seed %d, at %s, %s: got %d\n%s\nwant %d\n%s\n%s", seed, at, path, code, tidy(t, got), wantCode, tidy(t, want), gocmp.Diff(tidy(t, want), tidy(t, got)))
				}
			}
		}
	}
}

// tidy takes from an answer what need not be the same: how long nothing is known of what has not been yet, the names of pages, the numbers
// of rows, revisions, states and, of what came last by its arrival, trades.
func tidy(t *testing.T, text string) string {
	t.Helper()
	if strings.HasPrefix(text, "id,") {
		lines := strings.Split(text, "\n")
		for i := range lines {
			_, lines[i], _ = strings.Cut(lines[i], ",")
		}
		return strings.Join(lines, "\n")
	}
	if !strings.HasPrefix(text, "{") {
		return text
	}
	var v map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	prune(v)
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func prune(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"next_page_token", "latestTrade", "latestQuote", "trade", "last", "quote", "state", "decimals", "rev", "final", "coverage", "coverageSeconds"} {
			delete(v, name)
		}
		for _, w := range v {
			prune(w)
		}
	case []any:
		for _, w := range v {
			prune(w)
		}
	}
}

// questions are some paths that are answered as of a moment.
func questions(r *rand.Rand) []string {
	list := []string{"/v1/symbols"}
	for _, s := range []string{"SIM:BTC-USD", "NASDAQ:ABC", "ALPACA:ABC", "SIM:RARE-USD"} {
		for _, frame := range []string{"1Sec", "1Min", "5Min", "7Min", "15Min", "1Hour", "4Hour", "1Day", "1Week", "1Month"} {
			list = append(list, "/v2/stocks/"+s+"/bars?start=2024-01-01&timeframe="+frame,
				"/v2/stocks/"+s+"/bars?start=2024-01-01&sort=desc&limit=3&timeframe="+frame)
		}
		from := begin2024 + market.Time(r.IntN(100))*market.Hour
		list = append(list, "/v2/stocks/"+s+"/bars?timeframe=1Min", "/v2/stocks/"+s+"/bars?timeframe=1Day&format=csv&start=2024-01-01",
			"/v2/stocks/"+s+"/trades?limit=50&start="+url.QueryEscape(from.String()), "/v2/stocks/"+s+"/quotes?sort=desc&limit=7&start=2024-01-01",
			"/v2/stocks/"+s+"/trades?format=csv&start=2024-01-01", "/v2/stocks/"+s+"/snapshot", "/history?limit=40&format=csv&symbol="+s, "/v2/stocks/"+s+"/bars/latest",
			"/udf/history?symbol="+s+"&resolution=60&from=1700000000&to=1800000000&countback=20",
			fmt.Sprintf("/udf/marks?symbol=%s&resolution=5&from=1700000000&to=1800000000", s),
			"/v1/receipt?symbol="+s+"&timeframe=1Hour&t="+url.QueryEscape(from.String()), "/v1/receipt?symbol="+s+"&timeframe=1Day&t="+url.QueryEscape(from.String()))
	}
	return list
}
