package websocket

import (
	"bytes"

	"github.com/klauspost/compress/flate"
)

// Deflater compresses messages without context takeover, one after the other. Not for use by several goroutines at once.
type Deflater struct {
	w   *flate.Writer
	out sink
}

type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// NewDeflater returns a Deflater, which holds about 800 KiB: one for each goroutine that compresses, not for each connection.
func NewDeflater() *Deflater {
	z := new(Deflater)
	w, err := flate.NewWriter(&z.out, flate.BestSpeed)
	if err != nil {
		panic("BUG: new compressor: " + err.Error())
	}
	z.w = w
	return z
}

// Append appends the payload of a compressed message to dst: to be sent as one frame with the bit for compression (RFC 7692,
// 7.2.1).
func (z *Deflater) Append(dst, message []byte) []byte {
	z.out.b = dst
	z.w.Reset(&z.out)
	if _, err := z.w.Write(message); err != nil {
		panic("BUG: compress: " + err.Error())
	}
	if err := z.w.Flush(); err != nil {
		panic("BUG: compress: " + err.Error())
	}
	dst, z.out.b = z.out.b, nil
	if !bytes.HasSuffix(dst, []byte(tail[:4])) {
		panic("BUG: compressed message without its tail")
	}
	return dst[:len(dst)-4]
}
