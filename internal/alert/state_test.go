package alert_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/alert"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// everything is a set of rules that uses all there is.
func everything() []alert.Rule {
	list := []alert.Rule{
		alert.Tutorial(),
		{When: `crosses(price, sma(5, "1s")) and rsi(5, "1s") > 10`},
		{When: `crosses_up(price, ema(7, "5s"))`, Cooldown: 3e9},
		{When: `high("5s") - low("5s") > atr(3, "1s")`, For: 2e9},
		{When: `spread > 0.3 and price > vwap("20s")`, Until: "spread < 0.2"},
		{When: `age() > 2`},
		{When: `gap() or volume("3s") > 100`},
		{When: `since_open() > 0.5 or price > prev_close()`},
		{When: `count("2s") > 6`, Once: true},
	}
	for i := range list {
		if list[i].ID == "" {
			list[i].ID, list[i].Name, list[i].Symbols = fmt.Sprintf("r%d", i), fmt.Sprintf("rule %d", i), []string{"SIM:*"}
		}
		if list[i].Text == "" {
			list[i].Text = `{{symbol}} {{price}} {{change("10s")}} {{sma(5,"1s")}} {{vwap("20s")}}`
		}
	}
	return list
}

// storm is a market that makes rules fire.
func storm(rng *rand.Rand, records int) []*tape.Record {
	symbols := []market.Symbol{"SIM:A", "SIM:B", "SIM:C"}
	seqs := map[market.Symbol]uint64{}
	price := map[market.Symbol]int64{}
	clock := t0
	var list []*tape.Record
	for i := range records {
		clock += market.Time(rng.IntN(1200)) * 1_000_000
		if rng.IntN(100) == 0 {
			clock += 9 * 3600 * second
		}
		rec := &tape.Record{Position: tape.Position(i + 1), Through: tape.Position(i + 1), Batch: tape.Batch{Feed: "sim"}}
		for range 1 + rng.IntN(6) {
			s := symbols[rng.IntN(len(symbols))]
			at := clock - market.Time(rng.IntN(3))*market.Time(rng.IntN(2000))*1_000_000
			price[s] += int64(rng.IntN(101) - 50)
			p, _ := market.NewDecimal(10_000+price[s]%3000, -2)
			ask, _ := market.NewDecimal(10_000+price[s]%3000+int64(rng.IntN(60)), -2)
			one, _ := market.NewDecimal(int64(1+rng.IntN(40)), 0)
			e := market.Entry{Symbol: s, Event: at, Received: at, Price: p, Size: one}
			switch rng.IntN(10) {
			case 0:
				e = market.Entry{Kind: market.KindHeartbeat, Event: clock, Received: clock}
			case 1:
				e = market.Entry{Kind: market.KindGap, Symbol: s, Event: at, Until: clock, Received: clock}
			case 2, 3:
				e.Kind, e.Ask, e.AskSize = market.KindQuote, ask, one
			default:
				seqs[s]++
				e.Kind, e.Seq = market.KindTrade, seqs[s]
			}
			rec.Entries = append(rec.Entries, e)
		}
		list = append(list, rec)
	}
	return list
}

func run(b *alert.Book, records []*tape.Record) (fired []alert.Alarm) {
	for _, rec := range records {
		fired = append(fired, b.Push(rec)...)
	}
	return fired
}

// TestStateGoesOn writes the state down after every few records and goes on from it in another book: the alarms are those of a book that
// was never put down.
func TestStateGoesOn(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 1))
		records := storm(rng, 300)
		whole := newFloor(t, everything()...)
		want := run(whole.book, records)
		book := newFloor(t, everything()...).book
		var got []alert.Alarm
		for part := range slices.Chunk(records, 7) {
			got = append(got, run(book, part)...)
			next := newFloor(t, everything()...).book
			if err := next.Restore(book.State()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(book.State(), next.State()) {
				t.Fatal("what was read is not what was written")
			}
			book = next
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(market.Decimal{})); diff != "" {
			t.Fatalf("seed %d (-whole +in parts)\n%.3000s", seed, diff)
		}
		rules := map[string]int{}
		ids := map[string]bool{}
		for _, a := range want {
			rules[a.Rule]++
			if ids[a.ID] {
				t.Errorf("%s twice", a.ID)
			}
			ids[a.ID] = true
		}
		if len(rules) != len(everything()) {
			t.Errorf("seed %d: only %v fired", seed, rules)
		}
	}
}

// TestRulesChange changes one rule: the others go on as if nothing had happened.
func TestRulesChange(t *testing.T) {
	records := storm(rand.New(rand.NewPCG(9, 9)), 400)
	of := func(list []alert.Alarm) (kept []string) {
		for _, a := range list {
			if a.Rule != "r3" && a.Rule != "new" {
				kept = append(kept, a.ID+" "+a.Text)
			}
		}
		return kept
	}
	want := run(newFloor(t, everything()...).book, records)
	f := newFloor(t, everything()...)
	got := run(f.book, records[:200])
	rules := append(everything(), alert.Rule{ID: "new", Name: "new", Symbols: []string{"SIM:A"}, When: `count("1m") > 3`})
	rules[3].When = `high("5s") - low("5s") > 0.1`
	if err := f.book.SetRules(rules); err != nil {
		t.Fatal(err)
	}
	after := run(f.book, records[200:])
	if diff := cmp.Diff(of(want), of(append(got, after...))); diff != "" {
		t.Errorf("(-want +got)\n%.3000s", diff)
	}
	if !slices.ContainsFunc(after, func(a alert.Alarm) bool { return a.Rule == "new" }) {
		t.Error("the new rule never fired")
	}
}

// FuzzRestore wants an error or a book that works, never a panic.
func FuzzRestore(f *testing.F) {
	book := newFloor(f, everything()...).book
	run(book, storm(rand.New(rand.NewPCG(1, 1)), 5))
	f.Add(book.State())
	f.Add([]byte{1, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, state []byte) {
		b := newFloor(t, everything()...).book
		if b.Restore(state) != nil {
			return
		}
		run(b, storm(rand.New(rand.NewPCG(2, 2)), 20))
		_ = b.State()
	})
}
