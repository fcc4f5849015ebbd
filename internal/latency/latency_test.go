package latency

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	for _, c := range []struct {
		d, bound time.Duration
	}{
		{-time.Hour, time.Microsecond},
		{0, time.Microsecond},
		{time.Microsecond, time.Microsecond},
		{2 * time.Microsecond, 2 * time.Microsecond},
		{3 * time.Microsecond, 3 * time.Microsecond},
		{1024 * time.Microsecond, 1024 * time.Microsecond},
		{1025 * time.Microsecond, 1280 * time.Microsecond},
		{time.Second, 1048576 * time.Microsecond},
		{24 * time.Hour, 134217728 * time.Microsecond},
	} {
		if got := bound(bucketOf(c.d)); got != c.bound {
			t.Errorf("%v is in the bucket up to %v, want %v", c.d, got, c.bound)
		}
	}
	for i := 1; i < buckets; i++ {
		if bound(i) <= bound(i-1) || bucketOf(bound(i)) != i || bucketOf(bound(i)+1) != min(i+1, buckets-1) {
			t.Errorf("bucket %d ends at %v, which is in %d; a nanosecond more is in %d", i, bound(i), bucketOf(bound(i)), bucketOf(bound(i)+1))
		}
	}
}

func TestQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var m Meter
	now := time.Unix(1_700_000_000, 0)
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(r.ExpFloat64() * float64(3*time.Millisecond))
		all = append(all, d)
		m.Observe(now, d, 1)
	}
	slices.Sort(all)
	s := m.Summary(now)
	for _, c := range []struct {
		name      string
		got, want time.Duration
	}{{"p50", s.P50, all[5000]}, {"p99", s.P99, all[9900]}} {
		if c.got < c.want || c.got > c.want*5/4 {
			t.Errorf("got %s %v, want %v or up to a quarter more", c.name, c.got, c.want)
		}
	}
	var n uint64
	for i, b := range s.Buckets {
		n += b.N
		if i > 0 && b.To != 2*s.Buckets[i-1].To {
			t.Errorf("a bucket up to %v follows one up to %v", b.To, s.Buckets[i-1].To)
		}
	}
	if n != s.N || n != 10_000 || s.Buckets[0].N == 0 || s.Buckets[len(s.Buckets)-1].N == 0 {
		t.Errorf("the buckets %v hold %d of %d", s.Buckets, n, s.N)
	}
}

// What is older than a minute is in the total only.
func TestWindow(t *testing.T) {
	var m Meter
	var c Counts
	now := time.Unix(1_700_000_000, 0)
	m.Observe(now, time.Second, 3)
	c.Observe(time.Millisecond, 2)
	m.Add(now.Add(30*time.Second), &c)
	if c != (Counts{}) {
		t.Error("what was added is still there to be added again")
	}
	for _, w := range []struct {
		after time.Duration
		n     uint64
	}{{0, 3}, {30 * time.Second, 5}, {65 * time.Second, 2}, {2 * time.Minute, 0}, {365 * 24 * time.Hour, 0}} {
		if s := m.Summary(now.Add(w.after)); s.N != w.n || (s.N == 0) != (s.P50 == 0 && s.Buckets == nil) {
			t.Errorf("after %v: got %+v, want %d", w.after, s, w.n)
		}
	}
	n, sum, upTo := m.Total()
	if n != 5 || sum != 3*time.Second+2*time.Millisecond || upTo[len(upTo)-1].N != 5 {
		t.Errorf("got %d, %v, %v", n, sum, upTo)
	}
	if i := slices.IndexFunc(upTo, func(b Bucket) bool { return b.To >= time.Millisecond }); upTo[i].N != 2 || upTo[i-1].N != 0 {
		t.Errorf("got %v", upTo)
	}
}

func TestAtOnce(t *testing.T) {
	var m Meter
	var wg sync.WaitGroup
	now := time.Unix(1_700_000_000, 0)
	for i := range 4 {
		wg.Go(func() {
			for j := range 1000 {
				m.Observe(now.Add(time.Duration(i*j)*time.Millisecond), time.Duration(j)*time.Microsecond, 1)
				if j%100 == 0 {
					m.Summary(now)
				}
			}
		})
	}
	wg.Wait()
	if n, _, _ := m.Total(); n != 4000 {
		t.Errorf("got %d, want 4000", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	var m Meter
	now := time.Now()
	for i := 0; b.Loop(); i++ {
		m.Observe(now, time.Duration(i)*time.Microsecond, 1)
	}
}
