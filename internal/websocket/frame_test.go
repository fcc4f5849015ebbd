package websocket

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What we write, a decoder at the other end reads.
func TestFramesRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 124, 125, 126, 127, 65535, 65536, 100_000} {
		payload := bytes.Repeat([]byte("x"), size)
		want := []Message{{Op: OpBinary, Payload: payload}}
		o := DecoderOptions{Limit: size, Client: true}
		whole := func() int { return 1 << 20 }

		frame := AppendFrame([]byte("before"), OpBinary, payload)
		if got := decode(NewDecoder(o), frame[len("before"):], whole); !cmp.Equal(got.Messages, want, bytewise) {
			t.Errorf("size %d: AppendFrame: %v", size, got.Err)
		}
		room := append(make([]byte, 100), payload...)
		begin := PutHeader(room, 100, OpBinary, false, size)
		if 100-begin > MaxHeader || !bytes.Equal(room[begin:], frame[len("before"):]) {
			t.Errorf("size %d: PutHeader differs from AppendFrame: % x", size, room[begin:100])
		}
		o.Client = false
		if got := decode(NewDecoder(o), AppendMasked(nil, OpBinary, testKey, payload), whole); !cmp.Equal(got.Messages, want, bytewise) {
			t.Errorf("size %d: AppendMasked: %v", size, got.Err)
		}
	}
}

func TestAppendClose(t *testing.T) {
	long := strings.Repeat("x", 122)
	for _, c := range []struct {
		code   Code
		reason string
		want   Message
	}{
		{CodeGoingAway, "restart", closing(CodeGoingAway, "restart")},
		{4001, "", closing(4001, "")},
		{CodeNoStatus, "not sent", closing(CodeNoStatus, "")},
		{0, "not sent", closing(CodeNoStatus, "")},
		{1006, "not sent", closing(CodeNoStatus, "")},
		{CodeNormal, long + "y", closing(CodeNormal, long+"y")},
		{CodeNormal, long + "yz", closing(CodeNormal, long+"y")},
		{CodeNormal, long + "é", closing(CodeNormal, long)},
		{CodeNormal, long[:120] + "𐍈", closing(CodeNormal, long[:120])},
		{CodeNormal, "a\xffb", closing(CodeNormal, "a\uFFFDb")},
	} {
		for side, in := range map[bool][]byte{
			true:  AppendClose(nil, c.code, c.reason),
			false: AppendMaskedClose(nil, testKey, c.code, c.reason),
		} {
			got := decode(NewDecoder(DecoderOptions{Client: side}), in, func() int { return 200 })
			if diff := cmp.Diff([]Message{c.want}, got.Messages, bytewise); diff != "" || got.Err != nil {
				t.Errorf("%d %q: %v (-want +got):\n%s", c.code, c.reason, got.Err, diff)
			}
		}
	}
}

func TestDeflaterRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	ticks := []byte(strings.Repeat(`{"T":"t","S":"AAPL","p":187.42,"s":100,"t":"2026-11-02T14:30:00.123456789Z"},`, 3000))
	z := NewDeflater()
	for round := range 2 {
		for _, whole := range [][]byte{noise, ticks} {
			for _, size := range []int{0, 1, 2, 3, 10, 100, 1000, 65535, 65536, 200_000} {
				message := whole[:size]
				payload := z.Append([]byte("before"), message)[len("before"):]
				in := append(make([]byte, MaxHeader), payload...)
				in = in[PutHeader(in, MaxHeader, OpBinary, true, len(payload)):]
				d := NewDecoder(DecoderOptions{Limit: max(size, 1), Client: true, Deflate: true})
				got := decode(d, in, func() int { return 10_000 })
				if got.Err != nil || len(got.Messages) != 1 || !bytes.Equal(got.Messages[0].Payload, message) {
					t.Errorf("round %d, size %d: got %v", round, size, got.Err)
				}
			}
		}
	}
	if got := z.Append(nil, nil); !bytes.Equal(got, []byte{0}) {
		t.Errorf("an empty message became % x, RFC 7692 7.2.3.6 has one byte of zero", got)
	}
}

// Errors fit a close frame.
func TestErrorsFitACloseFrame(t *testing.T) {
	for _, c := range streams() {
		d := NewDecoder(DecoderOptions{Limit: testLimit, Client: c.client, Deflate: c.deflate})
		err := decode(d, c.in, func() int { return 1 << 20 }).Err
		if err == nil {
			continue
		}
		got := decode(NewDecoder(DecoderOptions{Client: true}), AppendClose(nil, err.Code, err.Reason), func() int { return 200 })
		if diff := cmp.Diff([]Message{closing(err.Code, err.Reason)}, got.Messages, bytewise); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", c.name, diff)
		}
		if want := fmt.Sprintf("websocket: %s (close code %d)", err.Reason, err.Code); err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}
