package feed

import (
	"hash/maphash"
	"math/rand/v2"
	"testing"
	"time"

	"tapedeck/internal/market"
)

func TestDedupeForgetsTheOldestOnly(t *testing.T) {
	var d dedupe
	const n = 5000
	for key := range uint64(n) {
		if d.has(key) {
			t.Fatalf("%d was never added", key)
		}
		d.add(key)
		if !d.has(key) {
			t.Fatalf("%d was just added", key)
		}
	}
	for key := range uint64(n) {
		if got, want := d.has(key), key >= n-remembered; got != want {
			t.Fatalf("key %d of %d: got %v, want %v", key, n, got, want)
		}
	}
	if len(d.ring) != remembered || len(d.seen) != remembered {
		t.Errorf("it holds %d and %d keys, want %d", len(d.ring), len(d.seen), remembered)
	}
}

func TestTradeKey(t *testing.T) {
	seed := maphash.MakeSeed()
	const day = 24 * market.Hour
	base := market.Entry{Kind: market.KindTrade, ID: 7, Exchange: "Q", Event: 100 * day}
	key := func(change func(e *market.Entry)) uint64 {
		e := base
		change(&e)
		k, ok := tradeKey(seed, &e)
		if !ok {
			t.Fatalf("%+v has no key", e)
		}
		return k
	}
	same := key(func(*market.Entry) {})
	if key(func(e *market.Entry) { e.Event += market.Hour; e.Price, _ = market.NewDecimal(5, 0) }) != same {
		t.Error("the same trade at another hour of the day is taken for another")
	}
	for name, change := range map[string]func(e *market.Entry){
		"another id":       func(e *market.Entry) { e.ID = 8 },
		"another exchange": func(e *market.Entry) { e.Exchange = "N" },
		"no exchange":      func(e *market.Entry) { e.Exchange = "" },
		"another day":      func(e *market.Entry) { e.Event += day },
		"a name":           func(e *market.Entry) { e.Ref = "x" },
	} {
		if key(change) == same {
			t.Errorf("%s: the same key", name)
		}
	}
	if _, ok := tradeKey(seed, &market.Entry{Kind: market.KindTrade}); ok {
		t.Error("a trade without a name has a key")
	}
}

func TestBackoffIsWithinBounds(t *testing.T) {
	b := backoff{random: rand.New(rand.NewPCG(1, 1)).Int64N}
	var longest time.Duration
	for range 10_000 {
		p := b.pause(0)
		if p < 0 || p > longestPause {
			t.Fatalf("got a pause of %v", p)
		}
		longest = max(longest, p)
	}
	if longest < longestPause*9/10 {
		t.Errorf("the longest pause was %v", longest)
	}
	b.healthy()
	if p := b.pause(0); p > firstPause {
		t.Errorf("the first pause is %v, more than %v", p, firstPause)
	}
	if p := b.pause(time.Hour); p != time.Hour {
		t.Errorf("got %v although the venue asked for an hour", p)
	}
}

func TestRhythm(t *testing.T) {
	const s = market.Second
	for name, c := range map[string]struct {
		intervals []market.Time
		silence   market.Time
		want      bool
	}{
		"never":                   {nil, 1000 * s, false},
		"few, a while":            {[]market.Time{s, s}, 60 * s, false},
		"few, long":               {[]market.Time{s, s}, 400 * s, true},
		"steady, short":           {[]market.Time{s, s, s, s, s, s, s, s, s}, 29 * s, false},
		"steady, long":            {[]market.Time{s, s, s, s, s, s, s, s, s}, 31 * s, true},
		"slow":                    {[]market.Time{60 * s, 60 * s, 60 * s, 60 * s, 60 * s, 60 * s, 60 * s, 60 * s}, 600 * s, false},
		"bursts with long pauses": {[]market.Time{1, 1, 1, 300 * s, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 600 * s, false},
		"clock steps back":        {[]market.Time{s, s, -500 * s, s, s, s, s, s, s}, 20 * s, false},
	} {
		var r rhythm
		now := 1_700_000_000 * s
		for _, d := range c.intervals {
			now += d
			r.beat(now)
		}
		if got := r.silent(now+c.silence, symbolSilence, symbolMeans); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
