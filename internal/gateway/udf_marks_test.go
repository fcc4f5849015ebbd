package gateway

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// udfMark is a mark, on the chart or below it.
type udfMark struct {
	ID      string   `json:"id"`
	Time    int64    `json:"time"`
	Color   string   `json:"color"`
	Label   string   `json:"label"`
	Text    string   `json:"text"`
	Tooltip []string `json:"tooltip"`
	Font    string   `json:"labelFontColor"`
	Size    int      `json:"minSize"`
	Shape   string   `json:"shape"`
}

func alarm(s market.Symbol, seq uint64, when market.Time, text string) market.Entry {
	return market.Alarm{Symbol: s, Seq: seq, Event: when, Price: dec("1.00"), Text: text}.Entry()
}

// waitFor returns when the hub has read all of the tape.
func (b *bench) waitFor() {
	for b.g.hub.end.Load() <= uint64(b.tape.Bounds().Last) {
		runtime.Gosched()
	}
}

func TestUDFMarks(t *testing.T) {
	start := t0.Floor(market.Hour)
	minute := func(i int) market.Time { return start + market.Time(i)*market.Minute }
	second := func(i int) int64 { return int64(minute(i) / market.Second) }
	m := newMemTape()
	var entries []market.Entry
	for i, at := range []int{0, 1, 2, 10, 11, 40} {
		entries = append(entries, trade("SIM:A", uint64(i+1), 100, minute(at)))
	}
	m.Put("sim", entries...)
	b := serveUDF(t, m, nil,
		market.Gap{Symbol: "SIM:A", From: minute(1) + 5*market.Second, To: minute(2), Reason: "lost <b>it</b>"},
		market.Gap{From: minute(5), To: minute(9), Flags: market.FlagFilled}, // where no bar is
		market.Gap{Symbol: "SIM:B", From: minute(1), To: minute(2)},
		market.Gap{Symbol: "SIM:A", Reason: "who knows when"},
		market.Gap{Symbol: "SIM:A", From: minute(-5), To: minute(1)}, // before the first bar
		// Filled as a whole, and another in part.
		market.Gap{Symbol: "SIM:A", From: minute(10), To: minute(10) + 9},
		market.Gap{Symbol: "SIM:A", From: minute(10), To: minute(10) + 9, Flags: market.FlagFilled},
		market.Gap{Symbol: "SIM:A", From: minute(40), To: minute(40) + 9},
		market.Gap{Symbol: "SIM:A", From: minute(40), To: minute(40) + 5, Flags: market.FlagFilled},
	)
	var alarms []market.Entry
	for i := range 13 {
		alarms = append(alarms, alarm("SIM:A", 5, minute(11)+market.Time(i), fmt.Sprintf("rule %d", i)))
	}
	m.Put("sim", append(alarms, alarm("SIM:A", 6, minute(70), "late"), alarm("SIM:B", 1, minute(11), "another's"))...)
	b.waitFor()

	var list []udfMark
	b.udf(fmt.Sprintf("marks?symbol=A&resolution=1&from=%d&to=%d", second(-60), second(60)), &list)
	if len(list) != 16 {
		t.Fatalf("got %d marks: %+v", len(list), list)
	}
	times := map[int64]int{}
	ids := map[string]bool{}
	for _, x := range list {
		times[x.Time]++
		ids[x.ID] = true
		if x.Color == "" || len(x.Label) != 1 || x.Text == "" || x.Font == "" || x.Size == 0 || strings.ContainsAny(x.Text, "<>") {
			t.Errorf("got %+v", x)
		}
	}
	if len(ids) != 16 || times[second(1)] != 1 || times[second(2)] != 1 || times[second(11)] != 10 || times[second(10)] != 1 || times[second(40)] != 3 {
		t.Errorf("got the times %v, %d names", times, len(ids))
	}
	if x := list[0]; x.Color != "red" || !strings.Contains(x.Text, ":01:05Z to ") || !strings.Contains(x.Text, "lost") {
		t.Errorf("got %+v", x)
	}
	if x := list[1]; x.Color != "green" || !strings.Contains(x.Text, "fetched") {
		t.Errorf("got %+v", x)
	}
	if x := list[2]; x.Time != second(10) || x.Color != "green" {
		t.Errorf("got %+v", x)
	}
	if x, y := list[13], list[14]; x.Color+y.Color != "redgreen" {
		t.Errorf("got %+v and %+v", x, y)
	}
	if x := list[12]; x.Text != "4 more" {
		t.Errorf("got %+v", x)
	}
	// Whatever part is asked for, each mark is where it was.
	for _, resolution := range []string{"1", "5", "60", "1D", "1M"} {
		var whole, pieces []udfMark
		b.udf(fmt.Sprintf("timescale_marks?symbol=SIM:A&resolution=%s&from=0&to=%d", resolution, second(600)), &whole)
		bars, _ := b.bars("SIM:A", resolution, 0, second(600), 0)
		for i := range bars {
			var some []udfMark
			b.udf(fmt.Sprintf("timescale_marks?symbol=SIM:A&resolution=%s&from=%d&to=%d", resolution, bars[i].Time, bars[i].Time), &some)
			pieces = append(pieces, some...)
		}
		if len(whole) == 0 || fmt.Sprint(whole) != fmt.Sprint(pieces) {
			t.Errorf("%s: got %v in pieces, %v at once", resolution, pieces, whole)
		}
		for _, x := range whole {
			if len(x.Tooltip) != 1 || x.Shape == "" || !slices.ContainsFunc(bars, func(b udfBar) bool { return b.Time == x.Time }) {
				t.Errorf("%s: got %+v", resolution, x)
			}
		}
	}
	// Nothing there: a list all the same.
	if _, _, body := b.get("/udf/marks?symbol=A&resolution=1&from=0&to=1"); body != "[]\n" {
		t.Errorf("got %s", body)
	}
}

// TestUDFMarksOfMemory asks where history knows no gaps: those in memory are told.
func TestUDFMarksOfMemory(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	b := serve(t, m, nil)
	m.Put("sim", market.Gap{From: t0 + 1, To: t0 + 2, Reason: "lost"}.Entry())
	m.Put("other", market.Gap{From: t0 + 1, To: t0 + 2, Reason: "not ours"}.Entry())
	b.waitFor()
	var list []udfMark
	b.udf(fmt.Sprintf("marks?symbol=A&resolution=1&from=0&to=%d", t0/market.Second), &list)
	if len(list) != 1 || !strings.Contains(list[0].Text, "lost") {
		t.Errorf("got %+v", list)
	}
}
