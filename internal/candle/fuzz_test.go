package candle

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"tapedeck/internal/market"
)

// FuzzRoller makes trades of bytes and checks that neither where the ticks are cut, nor a restart, changes any bar, that their
// order changes only revisions, and that no bar is misshapen.
func FuzzRoller(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"), uint64(1))
	r := rand.New(rand.NewPCG(1, 1))
	long := make([]byte, 600)
	for i := range long {
		long[i] = byte(r.Uint32())
	}
	f.Add(long, uint64(2))
	o := Options{Calendars: market.NewCalendars()}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		entries := entriesOf(t, data)
		whole := barsOf(t, o, entries, nil)
		for _, b := range whole {
			checkShape(t, b)
		}
		r := rand.New(rand.NewPCG(seed, 0))
		if d := diff(whole, barsOf(t, o, entries, r)); d != "" {
			t.Fatalf("cutting the ticks changed bars (-whole +cut):\n%s", d)
		}
		r.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		shuffled := barsOf(t, o, entries, r)
		if d := diff(settled(whole), settled(shuffled)); d != "" {
			t.Fatalf("another order of arrival changed bars (-whole +shuffled):\n%s", d)
		}
	})
}

// settled returns bars without what depends on the order of arrival.
func settled(s shelf) shelf {
	out := shelf{}
	for k, b := range s {
		b.Rev, b.Final = 0, false
		out[k] = b
	}
	return out
}

// entriesOf reads eight bytes for each trade: symbol and digits, steps of time, price, size, conditions.
func entriesOf(t testing.TB, data []byte) []market.Entry {
	t.Helper()
	symbols := []market.Symbol{"COINBASE:BTC-USD", "ALPACA:AAPL"}
	conditions := []string{"", "@,I", "@,T", "4", "6", "9", "Q", "T,Z"}
	var entries []market.Entry
	var seq [2]uint64
	clock := at(t, "2026-11-20T20:30:00Z")
	for ; len(data) >= 8; data = data[8:] {
		which := data[0] & 1
		clock += market.Time(int16(binary.LittleEndian.Uint16(data[1:]))) * market.Time([]int64{1, 1e6, 1e8, 36e8}[data[0]>>1&3])
		price, err := market.NewDecimal(int64(int16(binary.LittleEndian.Uint16(data[3:]))), -int(data[0]>>3&3))
		if err != nil {
			t.Fatal(err)
		}
		size, err := market.NewDecimal(int64(binary.LittleEndian.Uint16(data[5:])), -int(data[0]>>5&7))
		if err != nil {
			t.Fatal(err)
		}
		seq[which]++
		entries = append(entries, market.Entry{
			Kind: market.KindTrade, Symbol: symbols[which], Seq: seq[which], Event: clock, Price: price, Size: size,
			Conditions: conditions[data[7]&7],
		})
	}
	return entries
}

// barsOf stores the bars of trades, drained at the end or, with a source of randomness, anywhere, with restarts.
func barsOf(t testing.TB, o Options, entries []market.Entry, r *rand.Rand) shelf {
	t.Helper()
	m := machine(t, o)
	f := m.Feed("all")
	store := shelf{}
	for i := range entries {
		push(t, f, entries[i])
		if r == nil {
			continue
		}
		if r.IntN(3) == 0 {
			store.put(t, m.Drain(nil))
		}
		if r.IntN(20) == 0 {
			store.put(t, m.Drain(nil))
			clock, _ := f.Clock()
			m = restart(t, o, store, clock)
			f = m.Feed("all")
		}
	}
	store.put(t, m.Drain(nil))
	return store
}
