package layouttest

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestRead adds a table up by hand.
func TestRead(t *testing.T) {
	s := shapes()[2]
	x := s.read(t, strings.NewReader("ts_ns,symbol,price,size\n1,A,1.50,2\n1700000000,A,-0.25,4\n3,A,123456789012345678901.5,1E2\n"), true)
	want, _ := new(big.Rat).SetString("12345678901234567890152")
	if x.Rows != 3 || !x.Sized || x.Sum.Cmp(want) != 0 || len(x.Samples) != 1 || x.Samples[0] != (Sample{"1.50", "2"}) {
		t.Errorf("got %+v, sum %s, want %s", x, x.Sum.FloatString(3), want)
	}
	if x.Last.UnixNano() != 3e9 || x.Nanos != (Nanos{0, 1_700_000_004_000_000_000}) {
		t.Errorf("got %v, %+v", x.Last, x.Nanos)
	}
}

// TestSums holds the sums of words to those of math/big.
func TestSums(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var s sum
	var nanos Nanos
	want, at := new(big.Int), new(big.Int)
	for range 10_000 {
		a := number{small: rnd.Uint64() >> rnd.IntN(64), negative: rnd.IntN(9) == 0}
		b := number{small: rnd.Uint64() >> rnd.IntN(64), negative: rnd.IntN(9) == 0}
		s.add(a, b)
		want.Add(want, new(big.Int).Mul(a.big(), b.big()))
		ns := int64(rnd.Uint64())
		nanos.Add(ns)
		at.Add(at, big.NewInt(ns))
	}
	if got := total(map[int]*sum{0: &s}); got.Cmp(new(big.Rat).SetInt(want)) != 0 {
		t.Errorf("got %s, want %s", got, want)
	}
	got := new(big.Int).Lsh(big.NewInt(nanos.high), 64)
	if got.Add(got, new(big.Int).SetUint64(nanos.low)); got.Cmp(at) != 0 {
		t.Errorf("got %s, want %s", got, at)
	}
}
