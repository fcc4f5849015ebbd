package server

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

type toldTrade struct {
	P, S json.Number
	Seq  uint64
	When time.Time `json:"t"`
}

type toldReceipt struct {
	Start, End             time.Time
	Bar                    map[string]any
	Matches                bool
	Rev                    int
	Open, High, Low, Close *toldTrade
	Volume                 struct {
		Trades, First, Last uint64
		V                   json.Number
		List                []toldTrade
		Next                *string `json:"next_page_token"`
	}
	LeftOut struct {
		Count   int
		Reasons map[string]int
		List    []struct {
			Trade toldTrade
			Of    []string
			Why   string
		}
	}
	Late struct {
		Count     int
		Revisions []struct {
			Seq  uint64
			C, H []json.Number
			N    []int
		}
	}
	Coverage []toldSpan
}

func (p *past) receipt(query string) (toldReceipt, bool) {
	p.t.Helper()
	code, text := p.get("/v1/receipt?" + query)
	var c toldReceipt
	if code == 404 && strings.Contains(text, "no bar") {
		return c, false
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&c); code != 200 || err != nil {
		p.t.Fatalf("%s: got %d %s, %v", query, code, text, err)
	}
	return c, true
}

// TestReceiptsMatchTheirBars asks for the receipts of random bars, now and as of moments: what they say of the trades makes the bar.
func TestReceiptsMatchTheirBars(t *testing.T) {
	found, late := 0, 0
	for seed := range uint64(3) {
		records := script(seed)
		p := pastOf(t, tapeAt(records, 1<<62))
		r := rand.New(rand.NewPCG(seed, 14))
		for range 150 {
			symbol := []market.Symbol{"SIM:BTC-USD", "NASDAQ:ABC", "ALPACA:ABC", "SIM:RARE-USD"}[r.IntN(4)]
			frame := []string{"1Sec", "1Min", "5Min", "1Hour", "4Hour", "1Day", "1Week", "1Month"}[r.IntN(8)]
			entries := records[r.IntN(len(records))].Entries
			e := entries[r.IntN(len(entries))]
			query := fmt.Sprintf("symbol=%s&timeframe=%s&t=%s&limit=1000", symbol, frame, e.Event)
			at := market.Time(1 << 62)
			if r.IntN(3) == 0 {
				at = e.Received + market.Time(r.IntN(5))*market.Minute
				query += "&at=" + url.QueryEscape(at.String())
			}
			c, ok := p.receipt(query)
			if !ok {
				continue
			}
			found++
			if !c.Matches {
				_, text := p.get("/v1/receipt?" + query)
				t.Fatalf("seed %d, %s: does not match: %s", seed, query, text)
			}
			for name, trade := range map[string]*toldTrade{"o": c.Open, "h": c.High, "l": c.Low, "c": c.Close} {
				if value, _ := c.Bar[name].(json.Number); trade == nil || !equal(t, trade.P, value) {
					t.Fatalf("%s: %s is %v, its trade %+v", query, name, c.Bar[name], trade)
				}
			}
			// Every trade that was known is in the list, or left out of everything.
			want := map[uint64]bool{}
			for _, rec := range tapeAt(records, at).Records() {
				for _, e := range rec.Entries {
					if e.Kind == market.KindTrade && e.Symbol == symbol && !e.Event.Std().Before(c.Start) && e.Event.Std().Before(c.End) {
						want[e.Seq] = true
					}
				}
			}
			for _, trade := range c.Volume.List {
				delete(want, trade.Seq)
			}
			for _, l := range c.LeftOut.List {
				if len(l.Of) == 5 {
					delete(want, l.Trade.Seq)
				}
				if l.Why == "" || len(l.Of) == 0 {
					t.Fatalf("%s: left out for no reason: %+v", query, l)
				}
			}
			if len(want) > 0 {
				t.Fatalf("%s: trades %v are nowhere", query, want)
			}
			if n := len(c.Late.Revisions); n > 0 {
				late++
				for _, name := range []struct {
					name string
					pair []json.Number
				}{{"c", c.Late.Revisions[n-1].C}, {"h", c.Late.Revisions[n-1].H}} {
					if value, _ := c.Bar[name.name].(json.Number); len(name.pair) == 2 && !equal(t, name.pair[1], value) {
						t.Fatalf("%s: the last revision makes %s %v, the bar is %v", query, name.name, name.pair, c.Bar)
					}
				}
			}
		}
	}
	if found < 80 || late < 5 {
		t.Errorf("%d receipts, %d of them of revised bars: the test looks at nothing", found, late)
	}
}

func equal(t *testing.T, a, b json.Number) bool {
	t.Helper()
	x, err := market.ParseDecimal(a.String())
	y, err2 := market.ParseDecimal(b.String())
	if err != nil || err2 != nil {
		t.Fatal(a, b, err, err2)
	}
	return !x.Less(y) && !y.Less(x)
}

// TestReceiptOfALargeDay asks for the receipt of a day of many trades: its lists end where they should, and pages go on.
func TestReceiptOfALargeDay(t *testing.T) {
	src := &tapetest.Memory{Epoch: tape.Epoch{9}, Chunk: 50}
	const n = 30_000
	trade := trader("SIM:AAPL")
	var entries []market.Entry
	for i := range n {
		e := trade(begin2024+market.Time(i)*market.Second, 0)
		if i%3 == 0 {
			e.Size = market.Decimal{}
		}
		if entries = append(entries, e); len(entries) == 1000 {
			src.Put("sim", entries...)
			entries = nil
		}
	}
	p := pastOf(t, src)
	query := "symbol=AAPL&timeframe=1Day&limit=700&t=" + begin2024.String()
	c, _ := p.receipt(query)
	if !c.Matches || c.Volume.Trades == 0 || len(c.Volume.List) != 700 || c.Volume.Next == nil || c.Volume.First != 1 {
		t.Fatalf("%+v", c.Volume.Trades)
	}
	seqs := []uint64{c.Volume.List[699].Seq}
	next, _ := p.receipt(query + "&page_token=" + *c.Volume.Next)
	seqs = append(seqs, next.Volume.List[0].Seq)
	if !slices.Equal(seqs, []uint64{700, 701}) || next.Volume.Trades != c.Volume.Trades {
		t.Errorf("pages meet at %v", seqs)
	}
	for query, says := range map[string]string{
		"symbol=NOPE":                             "no such symbol",
		"symbol=AAPL":                             "interval",
		"symbol=AAPL&timeframe=1Min":              "must be given",
		"symbol=AAPL&timeframe=1Min&t=x":          "must be a time",
		"symbol=AAPL&timeframe=1Min&t=2260-01-01": "1685",
		"symbol=AAPL&timeframe=1Min&t=2020-01-01": "no bar",
		"symbol=AAPL&timeframe=1Min&t=2024-03-12T13:00:00Z&page_token=AA": "not of this receipt",
		"symbol=AAPL&timeframe=1Min&t=2024-03-12T13:00:00Z&limit=1001":    "whole number",
	} {
		if code, text := p.get("/v1/receipt?" + query); code == 200 || !strings.Contains(text, says) {
			t.Errorf("%s: got %d %s", query, code, text)
		}
	}
}
