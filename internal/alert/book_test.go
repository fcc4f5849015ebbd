package alert_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/alert"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

const (
	second = market.Second
	t0     = 1_700_000_000 * second // 2023-11-14T22:13:20Z
)

func dec(t testing.TB, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// floor is a tape of one feed.
type floor struct {
	t    testing.TB
	book *alert.Book
	seqs map[market.Symbol]uint64
}

func newFloor(t testing.TB, rules ...alert.Rule) *floor {
	t.Helper()
	b := alert.NewBook(market.NewCalendars())
	for i := range rules {
		if rules[i].ID == "" {
			rules[i].ID = fmt.Sprintf("r%d", i)
		}
		if rules[i].Name == "" {
			rules[i].Name = rules[i].ID
		}
		if rules[i].Symbols == nil {
			rules[i].Symbols = []string{"*"}
		}
	}
	if err := b.SetRules(rules); err != nil {
		t.Fatal(err)
	}
	return &floor{t, b, map[market.Symbol]uint64{}}
}

func (f *floor) push(e ...market.Entry) []alert.Alarm {
	return slices.Clone(f.book.Push(&tape.Record{Batch: tape.Batch{Feed: "sim", Entries: e}}))
}

func (f *floor) trade(s market.Symbol, at market.Time, price, size string) []alert.Alarm {
	f.t.Helper()
	f.seqs[s]++
	return f.push(market.Entry{
		Kind: market.KindTrade, Symbol: s, Seq: f.seqs[s], Event: at, Received: at, Price: dec(f.t, price), Size: dec(f.t, size),
	})
}

func (f *floor) quote(s market.Symbol, at market.Time, bid, ask string) []alert.Alarm {
	f.t.Helper()
	return f.push(market.Entry{
		Kind: market.KindQuote, Symbol: s, Seq: 1, Event: at, Received: at, Price: dec(f.t, bid), Size: dec(f.t, "1"), Ask: dec(f.t, ask),
		AskSize: dec(f.t, "1"),
	})
}

// TestTutorial is the rule that everybody begins with: one alarm, on the tick of the jump, and another only after the price stood
// still for a while.
func TestTutorial(t *testing.T) {
	f := newFloor(t, alert.Tutorial())
	at := t0
	for i := range 100 {
		at += second
		if got := f.trade("SIM:A", at, fmt.Sprintf("100.%02d", i%3), "1"); len(got) != 0 {
			t.Fatalf("tick %d: got %+v, want nothing", i, got)
		}
	}
	at += second
	got := f.trade("SIM:A", at, "103.12", "1")
	want := []alert.Alarm{{
		ID: "move-2-10s:SIM:A:101", Rule: "move-2-10s", Symbol: "SIM:A", Seq: 101, Event: at, Price: dec(t, "103.12"), Text: "3.12% move!",
		Severity: alert.Warning,
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(market.Decimal{})); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	for range 30 { // above, and then from 10 s on it stands still
		at += second
		if got := f.trade("SIM:A", at, "103.20", "1"); len(got) != 0 {
			t.Fatalf("got %+v, want nothing", got)
		}
	}
	at += second
	if got := f.trade("SIM:A", at, "99", "1"); len(got) != 1 || got[0].Text != "4.07% move!" {
		t.Fatalf("got %+v, want the fall", got)
	}
}

// TestWhenItFires walks through what makes a rule fire, and fire again.
func TestWhenItFires(t *testing.T) {
	type step struct {
		at    float64 // seconds
		price string  // a trade; "" is a heartbeat
		fires int
	}
	for name, test := range map[string]struct {
		rule  alert.Rule
		steps []step
	}{
		"edge":    {alert.Rule{When: "price > 100"}, []step{{1, "99", 0}, {2, "101", 1}, {3, "102", 0}, {4, "100", 0}, {5, "101", 1}}},
		"at once": {alert.Rule{When: "price > 100"}, []step{{1, "101", 1}}},
		"once":    {alert.Rule{When: "price > 100", Once: true}, []step{{1, "101", 1}, {2, "99", 0}, {3, "101", 0}}},
		"until": {
			alert.Rule{When: "price > 100", Until: "price < 98"},
			[]step{{1, "101", 1}, {2, "99", 0}, {3, "101", 0}, {4, "97", 0}, {5, "101", 1}},
		},
		"cooldown": {
			alert.Rule{When: "price > 100", Cooldown: alert.Duration(10e9)},
			[]step{{1, "101", 1}, {2, "99", 0}, {3, "101", 0}, {4, "102", 0}, {11, "103", 1}},
		},
		"for": {
			alert.Rule{When: "price > 100", For: alert.Duration(5e9)},
			[]step{{1, "101", 0}, {3, "99", 0}, {4, "101", 0}, {8.9, "", 0}, {9, "", 1}, {20, "", 0}},
		},
		"age":     {alert.Rule{When: "age() >= 3"}, []step{{1, "5", 0}, {2, "", 0}, {3.9, "", 0}, {4, "", 1}, {6, "", 0}, {7, "5", 0}, {10, "", 1}}},
		"expires": {alert.Rule{When: "price > 100", Expires: "2023-11-14T22:13:23Z"}, []step{{2, "101", 1}, {2.5, "99", 0}, {3, "101", 0}}},
		"up":      {alert.Rule{When: "crosses_up(price, 100)"}, []step{{1, "101", 0}, {2, "99", 0}, {3, "100", 0}, {4, "101", 1}, {5, "99", 0}, {6, "100", 0}, {7, "99", 0}}},
		"down":    {alert.Rule{When: "crosses_down(price, 100)"}, []step{{1, "101", 0}, {2, "99", 1}, {3, "101", 0}}},
		"crosses": {alert.Rule{When: "crosses(price, 100)"}, []step{{1, "101", 0}, {2, "99", 1}, {2.5, "98", 0}, {3, "101", 1}}},
		"unknown": {alert.Rule{When: "not (bid > 1)"}, []step{{1, "101", 0}}},
		"zero":    {alert.Rule{When: "price / (price - price) > 0 or price / 0 < 5"}, []step{{1, "101", 0}}},
		"kleene":  {alert.Rule{When: "bid > 1 or price > 100"}, []step{{1, "99", 0}, {2, "101", 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFloor(t, test.rule)
			for _, s := range test.steps {
				at := t0 + market.Time(s.at*1e9)
				var got []alert.Alarm
				if s.price == "" {
					got = f.push(market.Entry{Kind: market.KindHeartbeat, Event: at, Received: at})
				} else {
					got = f.trade("SIM:A", at, s.price, "1")
				}
				if len(got) != s.fires {
					t.Fatalf("at %v: got %+v, want %d", s.at, got, s.fires)
				}
			}
		})
	}
}

// TestIDsAreOfTheirOwn fires twice without a trade in between.
func TestIDsAreOfTheirOwn(t *testing.T) {
	f := newFloor(t, alert.Rule{When: "spread > 1"})
	f.trade("SIM:A", t0, "100", "1")
	seen := map[string]bool{}
	for i := range 5 {
		at := t0 + market.Time(i+1)*second
		for _, a := range append(f.quote("SIM:A", at, "99", "101"), f.quote("SIM:A", at+1, "100", "100.5")...) {
			if seen[a.ID] {
				t.Errorf("%s twice", a.ID)
			}
			seen[a.ID] = true
		}
	}
	if len(seen) != 5 {
		t.Errorf("got %v, want five", seen)
	}
}

// TestGapDeclines has a rule that does not fire over a hole.
func TestGapDeclines(t *testing.T) {
	f := newFloor(t, alert.Rule{ID: "jump", When: `abs(change("10s")) > 2 and not gap()`}, alert.Rule{ID: "hole", When: "gap()"})
	f.trade("SIM:A", t0, "100", "1")
	got := f.push(market.Entry{Kind: market.KindGap, Event: t0, Until: t0 + 5*second, Received: t0 + 5*second})
	if len(got) != 1 || got[0].Rule != "hole" {
		t.Errorf("got %+v, want the hole", got)
	}
	if got := f.trade("SIM:A", t0+5*second, "110", "1"); len(got) != 0 {
		t.Errorf("got %+v, want nothing over a hole", got)
	}
	if got := f.trade("SIM:A", t0+6*second, "110", "1"); len(got) != 1 || got[0].Rule != "jump" {
		t.Errorf("got %+v, want the jump that stands", got)
	}
}

// TestDays looks at the days of an exchange: 2023-11-14 22:13 UTC is after hours in New York.
func TestDays(t *testing.T) {
	f := newFloor(t, alert.Rule{ID: "open", When: "since_open() >= 1", Symbols: []string{"NASDAQ:*"}}, alert.Rule{ID: "prev", When: "price > prev_close()"})
	at := func(s string) market.Time {
		v, err := market.ParseTime(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var fired []string
	for _, x := range []struct{ at, price string }{
		{"2023-11-14T13:00:00Z", "90"},  // before hours
		{"2023-11-14T14:30:00Z", "100"}, // the open
		{"2023-11-14T20:59:59Z", "100.5"},
		{"2023-11-14T21:30:00Z", "103"}, // after hours: since the open, +3 %
		{"2023-11-15T13:00:00Z", "101"}, // before hours: the close was 100.5
		{"2023-11-15T14:30:00Z", "100"},
		{"2023-11-15T14:31:00Z", "101"},
	} {
		for _, a := range f.trade("NASDAQ:A", at(x.at), x.price, "1") {
			fired = append(fired, a.Rule+" "+x.at)
		}
	}
	want := []string{"open 2023-11-14T21:30:00Z", "prev 2023-11-15T13:00:00Z", "open 2023-11-15T14:31:00Z", "prev 2023-11-15T14:31:00Z"}
	if diff := cmp.Diff(want, fired); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// value returns what a number of the language is, by asking for its text.
func value(a []alert.Alarm, i int) float64 {
	var x float64
	text := strings.Fields(a[0].Text)[i]
	if text == "?" {
		return math.NaN()
	}
	if _, err := fmt.Sscan(text, &x); err != nil {
		panic(err)
	}
	return x
}

// TestFunctionsAgainstNaive computes every function anew from all trades, over random streams with late and equal times.
func TestFunctionsAgainstNaive(t *testing.T) {
	type trade struct {
		at          market.Time
		price, size float64
	}
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 7))
		// Times 1000, so that two digits of text are five; the condition is true and false in turn, so that each tick fires.
		f := newFloor(t, alert.Rule{
			When: `count("24h") > 0`, Until: `count("24h") > 0`,
			Text: `{{change("10s")*1000}} {{high("10s")*1000}} {{low("10s")*1000}} {{vwap("10s")*1000}} {{volume("10s")*1000}} {{count("10s")}}`,
		}, alert.Rule{
			When: `count("24h") > 0`, Until: `count("24h") > 0`,
			Text: `{{sma(5,"1s")*1000}} {{ema(5,"1s")*1000}} {{rsi(5,"1s")*1000}} {{atr(5,"1s")*1000}}`,
		})
		var all []trade // by time, equal times as they came
		var closed []naiveBar
		clock := t0
		price := 100.0
		for i := range 400 {
			if rng.IntN(3) > 0 {
				clock += market.Time(rng.IntN(1500)) * market.Time(1e6)
			}
			if rng.IntN(60) == 0 {
				clock += 15 * second
			}
			at := clock
			if rng.IntN(4) == 0 {
				at -= market.Time(rng.IntN(12_000)) * market.Time(1e6)
			}
			price += float64(rng.IntN(21)-10) / 100
			price = math.Round(price*100) / 100
			size := float64(1 + rng.IntN(50))
			got := f.trade("SIM:A", at, fmt.Sprintf("%.2f", price), fmt.Sprint(size))
			if len(got) != 2 {
				t.Fatalf("tick %d: got %+v, want both rules", i, got)
			}
			x := trade{at, price, size}
			at0, _ := slices.BinarySearchFunc(all, at, func(x trade, at market.Time) int {
				if x.at <= at {
					return -1
				}
				return 1
			})
			all = slices.Insert(all, at0, x)
			closed = naiveBars(closed, at, price)

			newest := all[len(all)-1]
			from := newest.at - 10*second
			high, low, pv, volume, n := math.Inf(-1), math.Inf(1), 0.0, 0.0, 0
			first := math.NaN()
			for _, y := range all {
				if y.at <= from {
					first = y.price
					continue
				}
				if math.IsNaN(first) {
					first = y.price
				}
				high, low, pv, volume, n = max(high, y.price), min(low, y.price), pv+y.price*y.size, volume+y.size, n+1
			}
			want := []float64{(newest.price/first - 1) * 100, high, low, pv / volume, volume, float64(n) / 1000}
			for j, w := range want {
				if g := value(got, j); math.Abs(g-w*1000) > 0.0051 {
					t.Fatalf("seed %d tick %d, function %d: got %v, want %v", seed, i, j, g, w*1000)
				}
			}
			for j, w := range naiveAverages(closed, 5) {
				if g := value(got[1:], j); math.IsNaN(g) != math.IsNaN(w) || math.Abs(g-w*1000) > 0.0051 {
					t.Fatalf("seed %d tick %d, average %d: got %v, want %v", seed, i, j, g, w*1000)
				}
			}
		}
	}
}

type naiveBar struct {
	start, last      market.Time
	high, low, close float64
}

func naiveBars(list []naiveBar, at market.Time, price float64) []naiveBar {
	start := at / second * second
	if len(list) == 0 || start > list[len(list)-1].start {
		return append(list, naiveBar{start, at, price, price, price})
	}
	if b := &list[len(list)-1]; start == b.start {
		b.high, b.low = max(b.high, price), min(b.low, price)
		if at >= b.last {
			b.last, b.close = at, price
		}
	}
	return list
}

// naiveAverages returns sma, ema, rsi and atr as their definitions say.
func naiveAverages(bars []naiveBar, n int) []float64 {
	mean := func(list []float64) float64 {
		sum := 0.0
		for _, x := range list {
			sum += x
		}
		return sum / float64(len(list))
	}
	smoothed := func(list []float64, weight float64) float64 {
		if len(list) < n {
			return math.NaN()
		}
		m := mean(list[:n])
		for _, x := range list[n:] {
			m += (x - m) * weight
		}
		return m
	}
	var closes, ups, downs, ranges []float64
	for i, b := range bars {
		closes = append(closes, b.close)
		high, low := b.high, b.low
		if i > 0 {
			before := bars[i-1].close
			ups, downs = append(ups, max(b.close-before, 0)), append(downs, max(before-b.close, 0))
			high, low = max(high, before), min(low, before)
		}
		ranges = append(ranges, high-low)
	}
	sma := math.NaN()
	if len(closes) >= n {
		sma = mean(closes[len(closes)-n:])
	}
	up, down := smoothed(ups, 1/float64(n)), smoothed(downs, 1/float64(n))
	rsi := 100 * up / (up + down)
	if up+down == 0 {
		rsi = 50
	}
	return []float64{sma, smoothed(closes, 2/float64(n+1)), rsi, smoothed(ranges, 1/float64(n))}
}

// TestHostileConditions are refused with the place.
func TestHostileConditions(t *testing.T) {
	for source, want := range map[string]string{
		"":                                       "empty",
		"price":                                  "compare it",
		strings.Repeat("(", 900):                 "",
		strings.Repeat("-", 900):                 "",
		strings.Repeat("1+", 300) + "1 > 0":      "",
		strings.Repeat("not ", 30) + "price > 1": "deeper",
		"price > 1" + strings.Repeat(" or price > 1", 100): "1024",
		`os.exit(1)`:                      "only functions",
		`prise > 1`:                       "did you mean price",
		`chnge("10s") > 1`:                "did you mean change",
		`change("10 parsecs") > 1`:        "not a length",
		`change("48h") > 1`:               "not between",
		`change(10) > 1`:                  "in quotes",
		`map([1], # > 1)`:                 "",
		`[1,2] == 1`:                      "not part",
		`{"a": 1} == 1`:                   "not part",
		`price > "a"`:                     "text",
		`price and price`:                 "true or false",
		`let x = 1; x > 0`:                "not part",
		`sma(9999, "1m") > 1`:             "1 to 500",
		`sma(5, "1M") > 1`:                "seconds, minutes or hours",
		`price matches "a"`:               "",
		`price ** 999 > 1`:                "no operator",
		`filter(1..1000000000, true)`:     "",
		`count("1s") > 1 ? 1 : price > 1`: "both numbers",
	} {
		_, err := alert.Compile(source)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", source, err, want)
		}
	}
	if _, err := alert.Compile(`(price > 1 and change("10s") > 2 or not gap()) and (bid < ask ? spread > 0.5 : false) and max(1, price, 3) >= -2.5`); err != nil {
		t.Error(err)
	}
}

// FuzzCompile wants an error or a program that can be evaluated, never a panic.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`abs(change("10s")) >= 2`, `crosses(price, sma(20,"1m")) and not gap()`, `price > 1 ? bid > 2 : ask < 3`, "1 > 0", `"a" == "b"`, "x.y()", "((((",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if _, err := alert.Compile(source); err != nil {
			return
		}
		fl := newFloor(t, alert.Rule{When: source, Text: "{{price}}"})
		for i := range 3 {
			fl.trade("SIM:A", t0+market.Time(i)*second, "100", "1")
			fl.quote("SIM:A", t0+market.Time(i)*second, "99", "100")
		}
	})
}
