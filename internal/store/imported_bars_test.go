package store

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

// fileBar makes an entry of a bar as a file has it.
func fileBar(t testing.TB, symbol market.Symbol, interval string, start, end market.Time, price int64, volume string) market.Entry {
	t.Helper()
	v, err := market.ParseInterval(interval)
	if err != nil {
		t.Fatal(err)
	}
	at := func(p int64) market.Decimal {
		d, err := market.NewDecimal(p, -2)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	b := market.Bar{
		Symbol: symbol, Interval: v, Start: start, End: end, Open: at(price), High: at(price + 7), Low: at(price - 9), Close: at(price + 3),
		Count: 4,
	}
	if b.Volume, err = market.ParseWide(volume); err != nil {
		t.Fatal(err)
	}
	e := b.Entry()
	e.Flags, e.Received = market.FlagImported|market.FlagHistory, start
	return e
}

// plain is what tests compare of a bar.
func plain(b *market.Bar) string {
	from := "trades"
	if b.Imported {
		from = "file"
	}
	return fmt.Sprint(b.Start, b.End, b.Open, b.High, b.Low, b.Close, b.Volume, b.Count, from)
}

// importedModel answers a query the plain way: bucket by bucket.
func importedModel(t *testing.T, bars []market.Entry, trades []market.Entry, v market.Interval, from, to market.Time) []string {
	t.Helper()
	length, fixed := v.Fixed()
	if !fixed {
		length = 24 * market.Hour
	}
	var out []string
	for b := from; b < to; b += length {
		if made := modelBucket(t, bars, trades, v, b, b+length); made != "" {
			out = append(out, made)
		}
	}
	return out
}

func modelBucket(t *testing.T, bars, trades []market.Entry, v market.Interval, from, to market.Time) string {
	t.Helper()
	within := func(list []market.Entry) []market.Entry {
		after := func(at market.Time) int {
			i, _ := slices.BinarySearchFunc(list, at, func(e market.Entry, at market.Time) int { return cmp.Compare(e.Event, at) })
			return i
		}
		return list[after(from):after(to)]
	}
	if in := within(trades); len(in) > 0 {
		one := in[0].Price
		return fmt.Sprint(from, to, one, one, one, one, market.WideOf(in[0].Size), 1, "trades")
	}
	in := within(bars)
	for _, w := range []string{"1d", "4h", "1h", "15m", "1m"} {
		part, err := market.ParseInterval(w)
		if err != nil {
			t.Fatal(err)
		}
		if !divides(part, v) {
			continue
		}
		var whole market.Bar
		n := 0
		for i := range in {
			if in[i].Ref != w {
				continue
			}
			b, err := in[i].Bar()
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 1 {
				whole = b
				continue
			}
			whole.Close = b.Close
			if whole.High.Less(b.High) {
				whole.High = b.High
			}
			if b.Low.Less(whole.Low) {
				whole.Low = b.Low
			}
			whole.Volume, _ = whole.Volume.Add(b.Volume)
			whole.Count += b.Count
		}
		if n > 0 {
			return fmt.Sprint(from, to, whole.Open, whole.High, whole.Low, whole.Close, whole.Volume, whole.Count, "file")
		}
	}
	return ""
}

// TestImportedBarsFillWhereNothingTraded compares random queries with a model, over bars of several intervals that lie over one
// another, and trades between them.
func TestImportedBarsFillWhereNothingTraded(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	day := 24 * market.Hour
	begin := market.FromStd(time.Date(2019, 3, 4, 0, 0, 0, 0, time.UTC))
	span := 12 * day
	byKey := make(map[string]market.Entry)
	src := newMemTape()
	for _, w := range []struct {
		interval string
		length   market.Time
		share    int
	}{{"1d", day, 3}, {"4h", 4 * market.Hour, 2}, {"1h", market.Hour, 2}, {"15m", 15 * market.Minute, 3}, {"1m", market.Minute, 4}} {
		var batch []market.Entry
		for at := begin; at < begin+span; at += w.length {
			// Whole stretches are missing, so that shorter bars have something to fill.
			if (at-begin)/(7*market.Hour)%market.Time(w.share) != 0 || rng.IntN(5) == 0 {
				continue
			}
			for range 1 + rng.IntN(5)/4 { // the last one counts
				e := fileBar(t, coin, w.interval, at, at+w.length, 10_000+rng.Int64N(900), fmt.Sprintf("%d.%d", rng.IntN(50), rng.IntN(10)))
				batch = append(batch, e)
				byKey[fmt.Sprint(w.interval, at)] = e
			}
		}
		rng.Shuffle(len(batch)/2, func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		for i := range batch[:len(batch)/2] {
			byKey[fmt.Sprint(batch[i].Ref, batch[i].Event)] = batch[i]
		}
		for i := range batch[len(batch)/2:] {
			e := batch[len(batch)/2+i]
			byKey[fmt.Sprint(e.Ref, e.Event)] = e
		}
		for part := range slices.Chunk(batch, 700) {
			src.Put("import-1", part...)
		}
	}
	bars := make([]market.Entry, 0, len(byKey))
	for _, e := range byKey {
		bars = append(bars, e)
	}
	slices.SortFunc(bars, func(a, b market.Entry) int { return int(a.Event - b.Event) })
	var trades []market.Entry
	for seq := uint64(1); seq <= 6; seq++ {
		trades = append(trades, trade(coin, seq, begin+market.Time(seq)*2*day-day/3, "77.5", "2"))
	}
	src.Put("live", trades...)
	src.Put("live", market.Heartbeat{Event: begin + 20*day, Received: begin + 20*day}.Entry())
	o := options(t)
	s := reopened(t, nil, o)
	record(t, s, src)
	for range 300 {
		v, err := market.ParseInterval([]string{"1m", "5m", "15m", "30m", "1h", "2h", "4h", "12h", "1d"}[rng.IntN(9)])
		if err != nil {
			t.Fatal(err)
		}
		length, fixed := v.Fixed()
		if !fixed {
			length = day
		}
		from := begin + market.Time(rng.Int64N(int64(span)))
		to := from + market.Time(rng.Int64N(int64(5*day)))
		if rng.IntN(4) == 0 {
			from, to = begin, begin+span
		}
		first, last := -(-from).Floor(length), -(-to).Floor(length)
		want := importedModel(t, bars, trades, v, first, last)
		q := market.BarQuery{Symbol: coin, Interval: v, From: from, To: to, Limit: 1 + rng.IntN(400), Descending: rng.IntN(2) == 0}
		if q.Descending {
			slices.Reverse(want)
		}
		want = want[:min(len(want), q.Limit)]
		got, _, err := s.Bars(t.Context(), q, nil)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for i := range got {
			list = append(list, plain(&got[i]))
			if !got[i].Final || got[i].Interval != v || got[i].Symbol != coin {
				t.Fatalf("bar %+v", got[i])
			}
		}
		if diff := gocmp.Diff(want, list); diff != "" {
			t.Fatalf("%+v (-want +got):\n%.3000s", q, diff)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(t.Context(), o.Path, nil)
	if err != nil || len(r.Problems) > 0 || r.Imported != int64(len(bars)) {
		t.Errorf("verify: %d imported bars, want %d; %q, %v", r.Imported, len(bars), r.Problems, err)
	}
}

// TestImportedBarsOfStocks makes weeks and months of daily bars, and days of the minutes of the regular session.
func TestImportedBarsOfStocks(t *testing.T) {
	const symbol market.Symbol = "NASDAQ:AAPL"
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	src := newMemTape()
	s := mustOpen(t, options(t))
	calendar := s.candles.Calendars.For(symbol.Venue())
	at := func(day, hour, minute int) market.Time {
		return market.FromStd(time.Date(2024, 3, day, hour, minute, 0, 0, zone))
	}
	var batch []market.Entry
	for day := 4; day <= 15; day++ {
		d := calendar.Day(at(day, 12, 0))
		if !d.Trading() {
			continue
		}
		if day == 13 { // a day that only minutes are known of, one of them before the bell
			for i, e := range []market.Time{at(day, 9, 0), at(day, 9, 30), at(day, 15, 59)} {
				batch = append(batch, fileBar(t, symbol, "1m", e, e+market.Minute, 5000+int64(100*i), "10"))
			}
			continue
		}
		batch = append(batch, fileBar(t, symbol, "1d", d.Start, d.End, int64(1000*day), "100"))
	}
	src.Put("import-1", batch...)
	record(t, s, src)
	for _, c := range []struct {
		interval string
		want     []string // open, high, low, close, volume, count
	}{
		{"1d", []string{
			"40.00 40.07 39.91 40.03 100 4", "50.00 50.07 49.91 50.03 100 4", "60.00 60.07 59.91 60.03 100 4", "70.00 70.07 69.91 70.03 100 4",
			"80.00 80.07 79.91 80.03 100 4", "110.00 110.07 109.91 110.03 100 4", "120.00 120.07 119.91 120.03 100 4", "51.00 52.07 50.91 52.03 20 8",
			"140.00 140.07 139.91 140.03 100 4", "150.00 150.07 149.91 150.03 100 4",
		}},
		{"1w", []string{"40.00 80.07 39.91 80.03 500 20", "110.00 150.07 109.91 150.03 400 16"}},
		{"1M", []string{"40.00 150.07 39.91 150.03 900 36"}},
	} {
		v, err := market.ParseInterval(c.interval)
		if err != nil {
			t.Fatal(err)
		}
		bars, _, err := s.Bars(t.Context(), market.BarQuery{Symbol: symbol, Interval: v, Limit: 100}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range bars {
			got = append(got, fmt.Sprint(b.Open, b.High, b.Low, b.Close, b.Volume, b.Count))
		}
		if diff := gocmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.interval, diff)
		}
	}
	l, ok := s.Latest(symbol)
	if !ok || l.TradeSeq != 0 || l.LastTrade.Kind != 0 || l.Feed != "import-1" {
		t.Errorf("listing %+v, %v", l, ok)
	}
}

func TestIntervalsHaveIDs(t *testing.T) {
	for _, name := range []string{"1s", "5s", "90s", "1m", "5m", "1h", "12h", "1d", "1w", "1M", "3M", "12M"} {
		v, err := market.ParseInterval(name)
		if name == "90s" {
			v, err = market.Interval{N: 90, Unit: market.UnitSecond}, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := importedInterval(importedID(v)); !ok || got != v {
			t.Errorf("%s came back as %s", v, got)
		}
	}
}
