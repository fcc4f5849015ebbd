package websocket

import (
	"bytes"
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

func batch(size int) []byte {
	return bytes.Repeat([]byte(`{"T":"t","S":"AAPL","i":52983525,"x":"V","p":187.42,"s":100,"t":"2026-11-02T14:30:00.123456789Z"},`), size/90+1)[:size]
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
