package websocket

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func benchmarkDecoder(b *testing.B, in []byte, size int) {
	var shared Inflaters
	d := NewDecoder(DecoderOptions{Limit: 1 << 20, Deflate: true, Inflaters: &shared})
	p := make([]byte, len(in))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		copy(p, in)
		if _, m, err := d.Next(p); err != nil || m.Op == 0 {
			b.Fatal(m.Op, err)
		}
	}
}

// batch is trades as the gateway sends them, cut to a size.
func batch(size int) []byte {
	rng := rand.New(rand.NewPCG(1, 1))
	symbols := []string{"AAPL", "AMZN", "MSFT", "NVDA", "TSLA"}
	var b []byte
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, `{"T":"t","S":"%s","i":%d,"x":"V","p":%d.%02d,"s":%d,"t":"2026-11-02T14:30:%02d.%09dZ","c":["@"],"z":"C"},`,
			symbols[rng.IntN(len(symbols))], 52983525+i, 100+rng.IntN(300), rng.IntN(100), 1+rng.IntN(500), i%60, rng.IntN(1e9))
	}
	return b[:size]
}

func BenchmarkDecodeSmall(b *testing.B) {
	message := `{"action":"subscribe","trades":["AAPL","MSFT"]}`
	benchmarkDecoder(b, client(fin|1, message), len(message))
}

func BenchmarkDecode64KiB(b *testing.B) {
	benchmarkDecoder(b, client(fin|1, string(batch(64<<10))), 64<<10)
}

func BenchmarkDecodeDeflated4KiB(b *testing.B) {
	benchmarkDecoder(b, client(fin|rsv1|1, string(NewDeflater().Append(nil, batch(4<<10)))), 4<<10)
}

func BenchmarkDeflate4KiB(b *testing.B) {
	z, message, out := NewDeflater(), batch(4<<10), []byte(nil)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		out = z.Append(out[:0], message)
	}
	b.ReportMetric(float64(len(out)), "B/message")
}

func BenchmarkMask64KiB(b *testing.B) {
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		mask(p, testKey)
	}
}
