package gateway

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// session of a market: two feeds over some hours around midnight, with quotes, heartbeats, gaps, statuses, quiet times and late trades.
func marketOf(m *tapetest.Memory, seed uint64, begin market.Time, d time.Duration) {
	rnd := rand.New(rand.NewPCG(seed, 5))
	feeds := map[string][]market.Symbol{"sim": {"SIM:A", "SIM:B"}, "coinbase": {"COINBASE:BTC-USD"}}
	trades, quotes := map[market.Symbol]uint64{}, map[market.Symbol]uint64{}
	for now := begin; now < begin+market.Time(d); {
		feed := "sim"
		if rnd.IntN(3) == 0 {
			feed = "coinbase"
		}
		var entries []market.Entry
		for range 1 + rnd.IntN(5) {
			s := feeds[feed][rnd.IntN(len(feeds[feed]))]
			at := now - market.Time(rnd.IntN(200))*1_000_000
			var e market.Entry
			switch n := rnd.IntN(20); {
			case n < 12:
				if rnd.IntN(8) == 0 {
					at -= market.Time(rnd.IntN(20)) * market.Minute // late, sometimes too late
				}
				trades[s]++
				e = trade(s, trades[s], 10000+rnd.Int64N(500), at)
			case n < 17:
				quotes[s]++
				e = quote(s, quotes[s], at)
			case n < 19:
				e = market.Heartbeat{Event: now}.Entry()
			case rnd.IntN(2) == 0:
				e = market.Gap{Symbol: s, From: now - 10*market.Second, To: now - market.Second, Reason: "lost"}.Entry()
			default:
				e = market.Status{Symbol: s, State: market.StateLive, Event: now}.Entry()
			}
			if e.Kind != market.KindGap && e.Kind != market.KindStatus {
				e.Received = now
			}
			entries = append(entries, e)
		}
		m.Put(feed, entries...)
		now += market.Time(rnd.IntN(8000)) * 1_000_000
		if rnd.IntN(100) == 0 {
			now += 20 * market.Minute
		}
	}
}

// gapped is history in memory that knows its gaps.
type gapped struct {
	*memHistory
	gaps []market.Gap
}

func (h *gapped) EachGap(_ context.Context, symbol market.Symbol, from, to market.Time, yield func(market.Gap) error) error {
	for _, gap := range h.gaps {
		if gap.From >= to || gap.To < from || symbol != "" && gap.Symbol != "" && gap.Symbol != symbol {
			continue
		}
		if err := yield(gap); err != nil {
			return err
		}
	}
	return nil
}

// withBars is a gateway that nothing moves, whose hub has read the whole tape and made its bars.
func withBars(t testing.TB, m *tapetest.Memory, change func(*Options)) *Gateway {
	t.Helper()
	h := &gapped{memHistory: newMemHistory()}
	o := Options{Tape: m, History: h}
	if change != nil {
		change(&o)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	bars, err := g.newBars(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	g.hub.start(nil, bars, 1)
	for _, rec := range m.Records() {
		g.hub.publish(rec)
		h.take(rec)
		for i := range rec.Entries {
			if e := &rec.Entries[i]; e.Kind == market.KindGap {
				h.gaps = append(h.gaps, e.Gap())
			}
		}
	}
	return g
}

// told returns the messages of the tape that were sent since the last call.
func (v *viewer) told() []string {
	var list []string
	for _, x := range v.seen {
		switch x.T {
		case "clock", "cursor", "subscription":
		default:
			list = append(list, x.raw)
		}
	}
	v.seen = nil
	return list
}

// diffLines says where two lists part.
func diffLines(got, want []string) string {
	for i := range max(len(got), len(want)) {
		a, b := "nothing", "nothing"
		if i < len(got) {
			a = got[i]
		}
		if i < len(want) {
			b = want[i]
		}
		if a != b {
			return fmt.Sprintf("message %d of %d and %d: got\n%s\nwant\n%s", i, len(got), len(want), a, b)
		}
	}
	return ""
}

const everything = `{"action":"subscribe","trades":["*"],"quotes":["*"],"bars":["*"],"updatedBars":["*"],"dailyBars":["*"],"alerts":["*"]}`

// TestPlayIsWhatWasLive plays a market from many moments, and gets what was told live, byte by byte: with the bars that the hub remembers,
// and with bars that the session makes again.
func TestPlayIsWhatWasLive(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			m := newMemTape()
			begin := market.FromStd(time.Now()) - 26*market.Hour
			marketOf(m, seed, begin, 3*time.Hour)
			g := withBars(t, m, func(o *Options) { o.Ring = 500; o.Limits.Frame = 5000 })
			for i, again := range []bool{false, true, true, true, false, true} {
				from := begin + market.Time(i)*29*market.Minute + 17*market.Second
				what := everything
				if i == 3 {
					what = `{"action":"subscribe","trades":["SIM:A"],"bars":["SIM:A"],"updatedBars":["SIM:A"],"dailyBars":["COINBASE:BTC-USD"]}`
				}
				live := g.viewer(t, m, manner{})
				live.do(`%s,"from":{"time":%q}}`, strings.TrimSuffix(what, "}"), from.String())
				live.watch(time.Second)
				want := live.told()
				if again {
					g.hub.bars.since = math.MaxUint64
				}
				v := g.viewer(t, m, manner{})
				v.do("%s", what)
				v.do(`{"action":"play","from":%q,"speed":"max"}`, from.String())
				v.watch(time.Second)
				g.hub.bars.since = 1
				bars := 0
				for _, x := range v.seen {
					if x.T == "b" || x.T == "u" || x.T == "d" {
						bars++
					}
				}
				if diff := diffLines(v.told(), want); diff != "" {
					t.Fatalf("seed %d, from %v, again %v: %s", seed, from, again, diff)
				}
				if bars == 0 || v.s.play != nil {
					t.Errorf("seed %d: %d bars came, and the play is %+v", seed, bars, v.s.play)
				}
			}
		})
	}
}

// TestPlayTrimmed plays from before the tape begins: history has what was trimmed, in the order of the venue's times, then the tape goes on.
func TestPlayTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		begin := market.FromStd(time.Now()) - 26*market.Hour
		var entries []market.Entry
		for i := range 3000 {
			at := begin + market.Time(i)*market.Second
			e := tick("SIM:A", uint64(i+1), at)
			e.Event = at - 50_000_000
			entries = append(entries, e)
		}
		for i := 0; i < 3000; i += 3 {
			m.Put("sim", entries[i:i+3]...)
		}
		g := withBars(t, m, nil)
		live := g.viewer(t, m, manner{})
		live.do(`%s,"from":{"cursor":%q}}`, strings.TrimSuffix(everything, "}"), tape.Cursor{Epoch: m.Epoch, Index: tape.AllEntries}.String())
		live.watch(time.Second)
		want := live.told()
		m.Trim(801)
		v := g.viewer(t, m, manner{cursors: true})
		v.do(everything)
		v.do(`{"action":"play","from":%q,"speed":"max"}`, (begin - market.Hour).String())
		v.watch(time.Second)
		for _, x := range v.seen {
			if x.T == "cursor" {
				var c message
				if err := c.UnmarshalJSON([]byte(x.raw)); err != nil {
					t.Fatal(err)
				}
				if at, err := parseCursor(c.C); err != nil || at.cursor.Position < 800 && at.trail == nil {
					t.Errorf("got the cursor %+v while history was told", at)
				}
			}
		}
		if diff := diffLines(v.told(), want); diff != "" {
			t.Error(diff)
		}
	})
}

// TestPlayImported plays the day of a file. Before the tape begins all of it comes by the times in the file; what the file has of the time that the
// tape has is told beside the tape; and what a replay showed live is not told twice.
func TestPlayImported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		now := market.FromStd(time.Now())
		old := now - 1000*24*market.Hour
		// A feed that replays a file of years ago, and shows it live now.
		begin := now - market.Hour
		for i := range 120 {
			e := tick("REPLAY:X", uint64(i+1), begin+market.Time(i)*market.Second)
			e.Event, e.Flags = old+market.Time(i)*market.Second, market.FlagImported
			m.Put("replay", e)
			m.Put("sim", tick("SIM:A", uint64(i+1), begin+market.Time(i)*market.Second+1))
		}
		// A file of the same years, and of the last hour, out of order.
		for _, from := range []market.Time{begin, old} {
			var entries []market.Entry
			for i := range 60 {
				seq := uint64(i + 1)
				if from == old {
					seq += 60
				}
				e := tick("FILE:Y", seq, now-market.Minute)
				e.Event = from + market.Time(2*i)*market.Second + 500_000_000
				entries = append(entries, e)
			}
			m.Put("import-1", history(entries...)...)
		}
		g := withBars(t, m, nil)
		lines := func(from market.Time) string {
			v := g.viewer(t, m, manner{})
			v.do(everything)
			v.do(`{"action":"play","from":%q,"speed":"max"}`, from.String())
			v.watch(time.Second)
			return v.lines("t b")
		}
		var want []string
		for i := range 120 { // years ago: both files, by event time
			want = append(want, fmt.Sprint("t REPLAY:X ", i+1))
			if i == 61 { // bars close a second after their minute
				want = append(want, "b FILE:Y 0", "b REPLAY:X 0")
			}
			if i%2 == 0 {
				want = append(want, fmt.Sprint("t FILE:Y ", 61+i/2))
			}
		}
		want = append(want, "b FILE:Y 0", "b REPLAY:X 0")
		got := lines(old)
		head := strings.Join(want, ",")
		if !strings.HasPrefix(got, head+",") {
			t.Errorf("years ago: got %s\nwant %s", got, head)
		}
		// What the tape shows: the replay as it was received, unless it was told, and the file by its times.
		var live, past []string
		for i := range 120 {
			a, y := fmt.Sprint("t SIM:A ", i+1), fmt.Sprint("t FILE:Y ", 1+i/2)
			live = append(live, fmt.Sprint("t REPLAY:X ", i+1), a)
			past = append(past, a)
			if i%2 == 0 {
				live, past = append(live, y), append(past, y)
			}
		}
		trades := func(s string) string {
			var list []string
			for line := range strings.SplitSeq(s, ",") {
				if strings.HasPrefix(line, "t ") {
					list = append(list, line)
				}
			}
			return strings.Join(list, ",")
		}
		if diff := diffLines(strings.Split(trades(got[len(head):]), ","), past); diff != "" {
			t.Errorf("after the years: %s", diff)
		}
		if diff := diffLines(strings.Split(trades(lines(begin)), ","), live); diff != "" {
			t.Errorf("an hour ago: %s", diff)
		}
	})
}
