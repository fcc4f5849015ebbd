package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// BenchmarkFanout delivers every tick to each of so many clients over loopback sockets, the clients' own work included. One operation
// is a record of 100 ticks to all clients.
func BenchmarkFanout(b *testing.B) {
	for _, clients := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) { fanout(b, clients) })
	}
}

func fanout(b *testing.B, clients int) {
	m := newMemTape()
	m.Chunk = 1000
	s := serve(b, m, func(o *Options) {
		o.Limits.Connections = clients + 1
		o.Ping = time.Hour // the library of the clients gives up when it cannot answer one at once
	})
	const size = 100
	total := int64(b.N) * size
	var wg sync.WaitGroup
	var delivered, sent atomic.Int64
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	window := make(chan struct{}, 256) // records that the first client has not read yet
	for i := range clients {
		c := s.dial("/v2/tape")
		c.read()
		c.send(`{"action":"subscribe","trades":["*"]}`)
		c.read()
		wg.Go(func() {
			need := total
			for need > 0 {
				_, r, err := c.ws.Reader(ctx)
				if err != nil {
					b.Error(err)
					return
				}
				n, ticks := countTicks(r)
				if i == 0 {
					for range need/size - (need-ticks)/size {
						<-window
					}
				}
				need -= ticks
				delivered.Add(ticks)
				sent.Add(n)
			}
		})
	}
	// The history of the tests would cost more than what is measured.
	m.OnAppend(nil)
	b.ResetTimer()
	seq := uint64(0)
	for range b.N {
		entries := make([]market.Entry, size)
		for i := range entries {
			seq++
			entries[i] = trade("SIM:AAPL", seq, 18742, t0+market.Time(seq))
		}
		window <- struct{}{}
		m.Put("sim", entries...)
	}
	wg.Wait()
	b.StopTimer()
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(delivered.Load())/seconds, "deliveries/s")
	b.ReportMetric(float64(sent.Load())/seconds/1e6, "MB/s")
	s.stop()
}

// countTicks counts the trades of a message without decoding it.
func countTicks(r io.Reader) (n, ticks int64) {
	buf := make([]byte, 64<<10)
	for {
		k, err := r.Read(buf)
		n += int64(k)
		ticks += int64(bytes.Count(buf[:k], []byte{'{'}))
		if err != nil {
			return n, ticks
		}
	}
}

// BenchmarkHub is what the hub does for a tick before anybody asks for it.
func BenchmarkHub(b *testing.B) {
	g, err := New(Options{Tape: newMemTape(), History: newMemHistory()})
	if err != nil {
		b.Fatal(err)
	}
	bars, err := g.newBars(context.Background(), nil)
	if err != nil {
		b.Fatal(err)
	}
	g.hub.start(nil, bars, 1)
	pos, seq := tape.Position(0), uint64(0)
	sample := record(1000).rec.Entries
	for b.Loop() {
		entries := slices.Clone(sample)
		for i := range entries {
			seq++
			entries[i].Seq = seq
			entries[i].Event += market.Time(pos) * market.Second
			entries[i].Received = entries[i].Event
		}
		pos++
		g.hub.publish(&tape.Record{Position: pos, Through: pos, Batch: tape.Batch{Feed: "sim", Entries: entries}})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/tick")
}

// BenchmarkConnection is what a connection costs that is open and idle, on both ends: the client's is a socket and nothing else.
func BenchmarkConnection(b *testing.B) {
	const size = 2000
	s := serve(b, newMemTape(), func(o *Options) { o.Limits.Connections = size + 1 })
	for b.Loop() {
		before := inUse()
		conns := make([]net.Conn, size)
		for i := range conns {
			conns[i], _ = s.raw("/v2/tape")
		}
		b.ReportMetric(float64(inUse()-before)/size, "B/connection")
		for _, c := range conns {
			if err := c.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// inUse returns the bytes of heap and stacks, after the garbage is gone.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
