package market_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"

	"tapedeck/internal/market"
)

func wideRat(w market.Wide) *big.Rat {
	r, ok := new(big.Rat).SetString(w.String())
	if !ok {
		panic("BUG: text of a sum is not a number: " + w.String())
	}
	return r
}

func TestWideSumsAgainstRationals(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var sum market.Wide
		want := new(big.Rat)
		for range 100 {
			a, b := random(rng), random(rng)
			p, err := market.Product(a, b)
			if err != nil {
				t.Fatal(err)
			}
			next, err := sum.Add(p)
			if errors.Is(err, market.ErrRange) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			sum = next
			want.Add(want, new(big.Rat).Mul(rat(a), rat(b)))
			if wideRat(sum).Cmp(want) != 0 {
				t.Fatalf("got %v, want %v", sum, want)
			}
			if sum.Sign() != want.Sign() || sum.Cmp(p) != want.Cmp(wideRat(p)) {
				t.Fatalf("sign or order of %v is wrong", sum)
			}
			back, err := market.ParseWide(sum.String())
			if err != nil || back.Cmp(sum) != 0 {
				t.Fatalf("%v reads back as %v, %v", sum, back, err)
			}
		}
	}
}

func TestWideQuoRoundsHalfToEven(t *testing.T) {
	for _, c := range []struct {
		n, d     string
		decimals int
		want     string
	}{
		{"1", "8", 2, "0.12"},
		{"3", "8", 2, "0.38"},
		{"-1", "8", 2, "-0.12"},
		{"2", "3", 6, "0.666667"},
		{"-2", "3", 6, "-0.666667"},
		{"10", "5", 2, "2.00"},
		{"0", "5", 2, "0.00"},
		{"5", "2", 0, "2"},
		{"7", "2", 0, "4"},
	} {
		got, err := market.WideOf(dec(t, c.n)).Quo(market.WideOf(dec(t, c.d)), c.decimals)
		if err != nil || got.String() != c.want {
			t.Errorf("%s / %s = %v, %v, want %s", c.n, c.d, got, err, c.want)
		}
	}
	if _, err := market.WideOf(dec(t, "1")).Quo(market.Wide{}, 2); !errors.Is(err, market.ErrRange) {
		t.Errorf("1 / 0: got %v, want ErrRange", err)
	}
}

func TestParseWideRefuses(t *testing.T) {
	for _, s := range []string{"", "-", "1.2.3", "x", "1e", "170141183460469231731687303715884105728", " 1", "--5", "+-5"} {
		if w, err := market.ParseWide(s); err == nil {
			t.Errorf("ParseWide(%q) = %v, want an error", s, w)
		}
	}
}

func TestVWAP(t *testing.T) {
	b := market.Bar{Close: dec(t, "10.02"), Priced: true}
	for _, trade := range [][2]string{{"10.00", "100"}, {"10.01", "100"}, {"10.02", "100"}, {"10.03", "50"}} {
		p, s := dec(t, trade[0]), dec(t, trade[1])
		pv, err := market.Product(p, s)
		if err != nil {
			t.Fatal(err)
		}
		if b.Turnover, err = b.Turnover.Add(pv); err != nil {
			t.Fatal(err)
		}
		if b.Volume, err = b.Volume.Add(market.WideOf(s)); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.VWAP().String(); got != "10.012857" {
		t.Errorf("got %s, want 10.012857", got)
	}
	if got := (&market.Bar{Close: dec(t, "5.5")}).VWAP().String(); got != "5.5" {
		t.Errorf("without volume: got %s, want the close", got)
	}
}
