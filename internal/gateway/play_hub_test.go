package gateway

import (
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// history marks entries as of the past when they were put on the tape.
func history(entries ...market.Entry) []market.Entry {
	for i := range entries {
		entries[i].Flags |= market.FlagImported | market.FlagHistory
	}
	return entries
}

// TestHistoryIsNotLive puts ticks of the past onto the tape while clients listen: none is told, none becomes the newest or makes a bar, and the
// next live tick comes with a cursor behind them.
func TestHistoryIsNotLive(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1000, t0+market.Second))
	b := serve(t, m, nil)
	every := b.join(`{"action":"subscribe","trades":["*"],"bars":["*"],"cursor":true}`)
	latest := b.join(`{"action":"subscribe","trades":["*"],"bars":["*"],"mode":"latest","every":"10ms"}`)
	m.Put("import-1", history(trade("SIM:A", 2, 9900, t0+90*market.Second), trade("SIM:B", 1, 1, t0))...)
	end := m.Put("sim", trade("SIM:A", 3, 1100, t0+2*market.Second))
	list := every.frame()
	if len(list) != 2 || list[0].Seq != 3 || cursor(list) != (place{pos: end + 1}).cursor(m.Epoch).String() {
		t.Errorf("mode every: got %+v, want trade 3 and the cursor behind it", list)
	}
	if list := latest.frame(); len(list) != 1 || list[0].Seq != 3 {
		t.Errorf("mode latest: got %+v, want trade 3", list)
	}
	m.Put("import-1", history(trade("SIM:A", 4, 9900, t0+200*market.Second))...)
	m.Put("sim", trade("SIM:A", 5, 1200, t0+70*market.Second))
	text := every.read()
	if want := `"o":10.00,"h":11.00,"l":10.00,"c":11.00,"v":200`; !strings.Contains(text, want) {
		t.Errorf("got %s, want a bar with %s", text, want)
	}
}

// TestHistoryIsNewestWhereNothingElseIs asks for the newest of a symbol that only a file brought, before and after a feed brings it too.
func TestHistoryIsNewestWhereNothingElseIs(t *testing.T) {
	m := newMemTape()
	b := serve(t, m, nil)
	watcher := b.join(`{"action":"subscribe","trades":["*"],"mode":"latest","every":"10ms"}`)
	m.Put("import-1", history(trade("X:A", 1, 1000, t0), trade("X:A", 2, 1200, t0+2*market.Second), trade("X:A", 3, 1100, t0+market.Second))...)
	m.Put("sim", trade("SIM:B", 1, 700, t0))
	if list := watcher.frame(); len(list) != 1 || list[0].S != "SIM:B" {
		t.Errorf("mode latest: got %+v, want only the trade of SIM:B", list)
	}
	newest := func() string {
		_, _, text := b.get("/v2/stocks/trades/latest?symbols=X:A")
		return text
	}
	if text := newest(); !strings.Contains(text, `"p":12.00`) || !strings.Contains(text, `"seq":2`) {
		t.Errorf("got %s, want trade 2, the last by its time", text)
	}
	m.Put("sim", trade("X:A", 4, 900, t0-market.Second))
	m.Put("import-1", history(trade("X:A", 5, 1300, t0+9*market.Second))...)
	m.Put("sim", trade("SIM:B", 2, 700, t0))
	for last := uint64(0); last != 2; {
		for _, msg := range watcher.frame() {
			if msg.S == "SIM:B" {
				last = msg.Seq
			}
		}
	}
	if text := newest(); !strings.Contains(text, `"seq":4`) {
		t.Errorf("got %s, want trade 4, which a feed brought", text)
	}
}
