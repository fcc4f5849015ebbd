package websocket

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecoder: whatever comes, nothing panics, no more is kept than the limit allows, text is text, and what comes out does not
// depend on the pieces in which it came.
func FuzzDecoder(f *testing.F) {
	for i, c := range streams() {
		if len(c.in) < 1000 {
			f.Add(c.in, c.client, c.deflate, uint16(300), uint64(i))
		}
	}
	var shared Inflaters
	f.Fuzz(func(t *testing.T, in []byte, client, deflate bool, limit uint16, seed uint64) {
		o := DecoderOptions{Limit: int(limit), Client: client, Deflate: deflate, Inflaters: &shared}
		whole := NewDecoder(o)
		want := decode(whole, in, func() int { return 1 << 30 })
		for _, m := range want.Messages {
			if len(m.Payload) > whole.limit && !m.Op.control() {
				t.Fatalf("message of %d bytes, limit %d", len(m.Payload), whole.limit)
			}
			if m.Op == OpText && !utf8Valid(m.Payload) {
				t.Fatalf("text %q", m.Payload)
			}
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		for _, most := range []int{1, 3, 100} {
			d := NewDecoder(o)
			got := decode(d, in, func() int {
				if held, may := cap(d.buf)+cap(d.ctl), d.room(true)+maxControl+1; held > may {
					t.Fatalf("%d bytes are held, limit %d", held, d.limit)
				}
				return 1 + rng.IntN(most)
			})
			if diff := cmp.Diff(want, got, bytewise); diff != "" {
				t.Fatalf("in pieces of up to %d (-whole +pieces):\n%s", most, diff)
			}
		}
	})
}

// utf8Valid is what ranging over a string says, which is not how the decoder looks at it.
func utf8Valid(b []byte) bool { return bytes.Equal(bytes.ToValidUTF8(b, nil), b) }

// FuzzDeflater: every message comes back.
func FuzzDeflater(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("hello hello hello"))
	z := NewDeflater()
	f.Fuzz(func(t *testing.T, message []byte) {
		d := NewDecoder(DecoderOptions{Limit: 1 << 20, Deflate: true})
		in := frame{first: fin | rsv1 | 2, payload: z.Append(nil, message), key: &testKey}.append(nil)
		got := decode(d, in, func() int { return 1000 })
		if got.Err != nil || len(got.Messages) != 1 || !bytes.Equal(got.Messages[0].Payload, message) {
			t.Fatalf("got %+v", got)
		}
	})
}
