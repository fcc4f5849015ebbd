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
