package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/market"
)

var errOutOfOrder = errors.New("out of order")

// follower reads the trades of a stream and holds them to be every one, once, in order.
type follower struct {
	p    *peer
	next uint64
}

// follow opens a stream and subscribes to all trades; the next one must be number next.
func (b *bench) follow(next uint64) *follower {
	b.t.Helper()
	p := b.dialRaw()
	if err := p.conn.SetDeadline(time.Time{}); err != nil {
		b.t.Fatal(err)
	}
	p.answer(opening("/v2/tape"), 0)
	p.write(masked(fin|opText, `{"action":"subscribe","trades":["*"]}`), false)
	for !strings.Contains(p.text(), answered) {
	}
	return &follower{p, next}
}

// until reads up to the trade of a number. Each is shown to f, unless that is nil.
func (f *follower) until(last uint64, show func(seq uint64)) error {
	if err := f.p.conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return err
	}
	for f.next <= last {
		op, payload, err := f.p.frame()
		if err != nil || op == opClose {
			return fmt.Errorf("before trade %d of %d: a frame of kind %d, %w", f.next, last, op, errors.Join(err, io.EOF))
		}
		for op == opText {
			_, rest, ok := bytes.Cut(payload, []byte(`,"seq":`))
			if !ok {
				break
			}
			n := bytes.IndexByte(rest, ',')
			seq, err := strconv.ParseUint(string(rest[:max(n, 0)]), 10, 64)
			if err != nil || seq != f.next {
				return fmt.Errorf("got trade %d, want %d: %w", seq, f.next, errors.Join(err, errOutOfOrder))
			}
			f.next, payload = f.next+1, rest
			if show != nil {
				show(seq)
			}
		}
	}
	return nil
}

// market puts trades from a number up to another onto the tape, in records of 100, and never further ahead of the reader than a ring is
// long: the reader is one that keeps up.
func (b *bench) market(from, to uint64, read *atomic.Uint64, ahead uint64) {
	for seq := from; seq <= to; {
		entries := make([]market.Entry, 0, 100)
		for ; seq <= to && len(entries) < cap(entries); seq++ {
			entries = append(entries, trade("SIM:AAPL", seq, 18742, t0+market.Time(seq)))
		}
		for seq > read.Load()+ahead && !b.t.Failed() {
			runtime.Gosched()
		}
		b.tape.Put("sim", entries...)
	}
}

// settles waits until the server writes no more.
func (b *bench) settles() {
	b.t.Helper()
	last, same := -1.0, 0
	for deadline := time.Now().Add(time.Minute); same < 20; {
		if time.Now().After(deadline) {
			b.t.Fatal("the server goes on writing to clients that do not read")
		}
		if now := b.metric("bytes_total"); now != last {
			last, same = now, 0
		} else {
			same++
		}
	}
}

// TestStalledClients lets 50 clients read nothing while another reads all. That one gets every trade; the others cost less than 1 MiB
// each, and when they read again get every trade as well, whatever the ring still holds. Those that are cut leave nothing.
func TestStalledClients(t *testing.T) {
	eachPath(t, func(t *testing.T, path func(*Options)) {
		// 15 times what the ring holds, and 11 MB: more than the system's buffers take in for a client.
		const stalled, cut, ring, trades = 50, 10, 4096, 60_000
		m := newMemTape()
		m.Chunk = 100
		b := serve(t, m, func(o *Options) {
			path(o)
			o.Ring = ring
			o.Ping = time.Hour
			o.Logger = listenTo(t)
		})
		m.OnAppend(nil) // history is not what is tested
		b.becomes("sessions", 0)
		before := held(t)
		reader := b.follow(1)
		var all []*follower
		for range stalled {
			all = append(all, b.follow(1))
		}
		var read atomic.Uint64
		done := make(chan error, 1)
		go func() { done <- reader.until(trades, read.Store) }()
		b.market(1, trades, &read, ring/2)
		if err := <-done; err != nil {
			t.Fatalf("the reader: %v", err)
		}
		b.settles()
		standing := heap()

		for _, f := range all[:cut] {
			if err := f.p.conn.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			if err := f.p.conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
		b.becomes("sessions", 1+stalled-cut)
		errs := make([]error, stalled)
		var wg sync.WaitGroup
		for i, f := range all[cut:] {
			wg.Go(func() { errs[i] = f.until(trades, nil) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("those that read again: %v", err)
		}
		// They are as the reader now: what comes next comes to all, out of the ring.
		b.market(trades+1, trades+100, &read, 200)
		for i, f := range append(slices.Clone(all[cut:]), reader) {
			if err := f.until(trades+100, nil); err != nil {
				t.Fatalf("client %d, live again: %v", i, err)
			}
			if err := f.p.conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
		b.becomes("sessions", 0)
		b.becomes("catching_up", 0)
		before.returnsTo(t)
		all, reader = nil, nil
		cost := (standing - heap()) / stalled
		t.Logf("a stalled client costs %d bytes, its own buffers included", cost)
		if cost > 1<<20 {
			t.Errorf("a stalled client costs %d bytes", cost)
		}
	})
}

// BenchmarkReaderBesideStalled compares the delay of a client that reads, alone and beside 50 that do not. One operation is a record of
// ten trades, of which there are 1,000 a second; the delay is from before it is put onto the tape until its last trade is read.
func BenchmarkReaderBesideStalled(b *testing.B) {
	const stalled, ahead = 50, 60_000
	m := newMemTape()
	m.Chunk = 100
	s := serve(b, m, func(o *Options) {
		o.Ring = 4096
		o.Ping = time.Hour
	})
	m.OnAppend(nil)
	reader := s.follow(1)
	seq := uint64(0)
	p99 := func(n int) time.Duration {
		sent := make([]time.Time, n)
		first := seq
		delays := make([]time.Duration, 0, n)
		done := make(chan error, 1)
		go func() {
			done <- reader.until(first+uint64(10*n), func(seq uint64) {
				if i := seq - first; i%10 == 0 {
					delays = append(delays, time.Since(sent[i/10-1]))
				}
			})
		}()
		beat := time.NewTicker(time.Millisecond)
		defer beat.Stop()
		for i := range n {
			<-beat.C
			entries := make([]market.Entry, 10)
			for j := range entries {
				seq++
				entries[j] = trade("SIM:AAPL", seq, 18742, t0)
			}
			sent[i] = time.Now()
			m.Put("sim", entries...)
		}
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		slices.Sort(delays)
		return delays[len(delays)*99/100]
	}
	grow := func() {
		var read atomic.Uint64
		read.Store(seq)
		done := make(chan error, 1)
		go func() { done <- reader.until(seq+ahead, read.Store) }()
		s.market(seq+1, seq+ahead, &read, 2048)
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		seq += ahead
	}
	// What is measured beside the stalled clients stands between two measurements without them, so that a machine that gets slower, or
	// a tape that grows, counts for both.
	grow()
	p99(1000)
	b.ResetTimer()
	alone := p99(b.N)
	b.StopTimer()
	var crowd []*follower
	for range stalled {
		crowd = append(crowd, s.follow(seq+1))
	}
	grow()
	s.settles()
	b.StartTimer()
	beside := p99(b.N)
	b.StopTimer()
	for _, f := range crowd {
		if err := f.p.conn.Close(); err != nil {
			b.Fatal(err)
		}
	}
	grow()
	alone = (alone + p99(b.N)) / 2
	b.ReportMetric(float64(alone.Microseconds()), "p99-alone-µs")
	b.ReportMetric(float64(beside.Microseconds()), "p99-beside-µs")
	b.ReportMetric(float64(beside)/float64(alone), "ratio")
}
