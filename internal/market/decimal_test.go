package market_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"tapedeck/internal/market"
)

func dec(t testing.TB, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecimalKeepsDigits(t *testing.T) {
	for in, want := range map[string]string{
		"187.42":                             "187.42",
		"28165.47000000":                     "28165.47000000",
		"0":                                  "0",
		"0.00":                               "0.00",
		"-0.00":                              "0.00",
		"-37.63":                             "-37.63",
		"+1.5":                               "1.5",
		".5":                                 "0.5",
		"5.":                                 "5",
		"007":                                "7",
		"7.7696E-4":                          "0.00077696",
		"9.54e-06":                           "0.00000954",
		"7.8563E7":                           "78563000",
		"6.02e23":                            "602000000000000000000000",
		"1e3":                                "1000",
		"0e99":                               "0",
		"9223372036854775807":                "9223372036854775807",
		"-9223372036854775807":               "-9223372036854775807",
		"42667410863718.8":                   "42667410863718.8",
		"0.0000000000000000001":              "0.0000000000000000001",
		"100000000000000000000":              "100000000000000000000",
		"12345678.9000000000000000000000000": "12345678.90000000000",
		"1" + strings.Repeat("0", 58):        "1" + strings.Repeat("0", 58),
	} {
		d, err := market.ParseDecimal(in)
		if err != nil || d.String() != want {
			t.Errorf("ParseDecimal(%q) = %v, %v, want %s", in, d, err, want)
		}
		if b, err := market.ParseDecimal([]byte(in)); err != nil || b != d {
			t.Errorf("bytes of %q read as %v, %v, want %v", in, b, err, d)
		}
	}
}

func TestDecimalRefuses(t *testing.T) {
	for in, want := range map[string]error{
		"": market.ErrSyntax, " ": market.ErrSyntax, "-": market.ErrSyntax, ".": market.ErrSyntax, "1.2.3": market.ErrSyntax,
		"1,000": market.ErrSyntax, " 1": market.ErrSyntax, "1 ": market.ErrSyntax, "NaN": market.ErrSyntax, "Inf": market.ErrSyntax,
		"0x10": market.ErrSyntax, "1_000": market.ErrSyntax, "1e": market.ErrSyntax, "1e+": market.ErrSyntax, "e5": market.ErrSyntax,
		"1e5.5": market.ErrSyntax, "--1": market.ErrSyntax, "١": market.ErrSyntax, "1e5 ": market.ErrSyntax,
		"9223372036854775808": market.ErrRange, "12345678901234567890.1": market.ErrRange, "0.12345678901234567891": market.ErrRange,
		"1e60": market.ErrRange, "1e-41": market.ErrRange, "1e999999999999999999999": market.ErrRange, "1e-999999999999": market.ErrRange,
	} {
		if d, err := market.ParseDecimal(in); !errors.Is(err, want) {
			t.Errorf("ParseDecimal(%q) = %v, %v, want %v", in, d, err, want)
		}
	}
}

func rat(d market.Decimal) *big.Rat {
	r, ok := new(big.Rat).SetString(d.String())
	if !ok {
		panic("BUG: text of a decimal is not a number: " + d.String())
	}
	return r
}

// random returns decimals of all sizes, with many near the limits and many equal in value but not in digits.
func random(rng *rand.Rand) market.Decimal {
	coef := rng.Int64N(math.MaxInt64) >> rng.IntN(63)
	if rng.IntN(2) == 0 {
		coef = -coef
	}
	for rng.IntN(3) == 0 && coef > -math.MaxInt64/10 && coef < math.MaxInt64/10 {
		coef *= 10
	}
	exp := rng.IntN(24) - 16
	if rng.IntN(8) == 0 {
		exp = rng.IntN(market.MaxExp-market.MinExp+1) + market.MinExp
	}
	d, err := market.NewDecimal(coef, exp)
	if err != nil {
		panic(err)
	}
	return d
}

func TestDecimalArithmeticAgainstRationals(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		a, b := random(rng), random(rng)
		if got, want := a.Cmp(b), rat(a).Cmp(rat(b)); got != want {
			t.Fatalf("%v.Cmp(%v) = %d, want %d", a, b, got, want)
		}
		if got, want := a.Less(b), rat(a).Cmp(rat(b)) < 0; got != want {
			t.Fatalf("%v.Less(%v) = %v, want %v", a, b, got, want)
		}
		if sum, err := a.Add(b); err == nil {
			if want := new(big.Rat).Add(rat(a), rat(b)); rat(sum).Cmp(want) != 0 {
				t.Fatalf("%v + %v = %v, want %v", a, b, sum, want)
			}
		} else if !errors.Is(err, market.ErrRange) {
			t.Fatalf("%v + %v: %v, want ErrRange", a, b, err)
		}
		if back := dec(t, a.String()); back.Cmp(a) != 0 {
			t.Fatalf("%v reads back as %v", a, back)
		}
		product, err := market.Product(a, b)
		if err != nil {
			t.Fatal(err)
		}
		want := new(big.Rat).Mul(rat(a), rat(b))
		if got, _ := new(big.Rat).SetString(product.String()); got.Cmp(want) != 0 {
			t.Fatalf("%v × %v = %v, want %v", a, b, product, want)
		}
	}
}

func TestDecimalAddAtTheEdge(t *testing.T) {
	top := dec(t, "9223372036854775807")
	if sum, err := top.Add(dec(t, "1")); !errors.Is(err, market.ErrRange) {
		t.Errorf("got %v, %v, want ErrRange", sum, err)
	}
	if sum, err := top.Neg().Add(dec(t, "-1")); !errors.Is(err, market.ErrRange) {
		t.Errorf("got %v, %v, want ErrRange", sum, err)
	}
	if sum, err := top.Add(top.Neg()); err != nil || !sum.IsZero() {
		t.Errorf("got %v, %v, want 0", sum, err)
	}
	if sum, err := dec(t, "0.1").Add(dec(t, "0.2")); err != nil || sum.String() != "0.3" {
		t.Errorf("got %v, %v, want 0.3", sum, err)
	}
	if sum, err := dec(t, "187.4").Add(dec(t, "0.02")); err != nil || sum.String() != "187.42" {
		t.Errorf("got %v, %v, want 187.42", sum, err)
	}
}

// nearest is what Float64 must return: strconv reads any text as the nearest float.
func nearest(t testing.TB, d market.Decimal) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(d.String(), 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDecimalFloat64(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 100_000 {
		d := random(rng)
		if got, want := d.Float64(), nearest(t, d); got != want {
			t.Fatalf("%v.Float64() = %v, want %v", d, got, want)
		}
	}
	for in, want := range map[string]float64{
		"187.42": 187.42, "0.1": 0.1, "0.00": 0, "-37.63": -37.63, "9007199254740993": 9007199254740992, "9007199254740995": 9007199254740996,
		"1e40": 1e40, "9223372036854775807e40": 9223372036854775807e40, "1e-40": 1e-40, "0.0000000000000000000000123": 1.23e-23,
	} {
		var d market.Decimal
		if coef, exp, ok := strings.Cut(in, "e"); ok { // ParseDecimal spells whole numbers out
			c, errC := strconv.ParseInt(coef, 10, 64)
			e, errE := strconv.Atoi(exp)
			made, err := market.NewDecimal(c, e)
			if errC != nil || errE != nil || err != nil {
				t.Fatal(errC, errE, err)
			}
			d = made
		} else {
			d = dec(t, in)
		}
		if got := d.Float64(); got != want {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
	long := dec(t, "9223372036854775.807")
	if n := testing.AllocsPerRun(100, func() { _ = long.Float64() }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func FuzzDecimalFloat64(f *testing.F) {
	f.Add(int64(18742), int8(-2))
	f.Add(int64(1)<<53, int8(-22))
	f.Add(int64(1)<<53+1, int8(22))
	f.Add(int64(math.MaxInt64), int8(-40))
	f.Add(int64(-1), int8(40))
	f.Fuzz(func(t *testing.T, coef int64, exp int8) {
		d, err := market.NewDecimal(coef, int(exp))
		if err != nil {
			t.Skip()
		}
		if got, want := d.Float64(), nearest(t, d); got != want {
			t.Fatalf("%v.Float64() = %v, want %v", d, got, want)
		}
	})
}

func TestDecimalJSON(t *testing.T) {
	var v struct{ A, B market.Decimal }
	if err := json.Unmarshal([]byte(`{"A":28165.47000000,"B":"0.10"}`), &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil || string(out) != `{"A":28165.47000000,"B":0.10}` {
		t.Errorf("got %s, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"A":null}`), &v); err == nil {
		t.Error("null was read as a number")
	}
}

func TestDecimalDoesNotAllocate(t *testing.T) {
	text, buf := []byte("61837.63000000"), make([]byte, 0, 64)
	d := dec(t, "0.02")
	allocs := testing.AllocsPerRun(100, func() {
		v, err := market.ParseDecimal(text)
		if err != nil {
			t.Fatal(err)
		}
		w, err := market.Product(v, d)
		if err != nil {
			t.Fatal(err)
		}
		if w, err = w.Add(market.WideOf(v)); err != nil || v.Cmp(d) != 1 {
			t.Fatal(err)
		}
		buf = w.Append(v.Append(buf[:0]))
	})
	if allocs > 0 {
		t.Errorf("got %v allocations, want none", allocs)
	}
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"187.42", "-0", "1e-7", ".5", "9223372036854775807", "100000000000000000000.0000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := market.ParseDecimal(s)
		if err != nil {
			if !errors.Is(err, market.ErrSyntax) && !errors.Is(err, market.ErrRange) {
				t.Fatalf("%q: %v is neither ErrSyntax nor ErrRange", s, err)
			}
			return
		}
		want, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("%q was read as %v", s, d)
		}
		if len(s) < 200 && rat(d).Cmp(want) != 0 {
			t.Fatalf("%q was read as %v", s, d)
		}
		again, err := market.ParseDecimal(d.String())
		if err != nil || again.Cmp(d) != 0 || d.Exp() <= 0 && again != d {
			t.Fatalf("%v reads back as %v, %v", d, again, err)
		}
		if !json.Valid(d.Append(nil)) {
			t.Fatalf("%v is not JSON", d)
		}
	})
}
