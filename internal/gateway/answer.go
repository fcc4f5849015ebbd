package gateway

import (
	"net/http"
	"strconv"
)

// answerChunk is how much of an answer is collected before it is sent. An answer that fails before that is an error answer.
const answerChunk = 256 << 10

// answer collects a response in memory and sends it in chunks when it is large.
type answer struct {
	g    *Gateway
	w    http.ResponseWriter
	b    []byte
	sent bool

	lease *lease // of an answer that takes as long as it takes; nil when the request's deadline holds
}

func (g *Gateway) answer(w http.ResponseWriter, kind string) *answer {
	a := &answer{g: g, w: w}
	if b, ok := g.buffers.Get().(*[]byte); ok {
		a.b = (*b)[:0]
	}
	w.Header().Set("Content-Type", kind)
	return a
}

// room sends what was collected when it is much.
func (a *answer) room() error {
	if len(a.b) < answerChunk {
		return nil
	}
	err := a.write(a.b)
	a.sent = true
	a.b = a.b[:0]
	return err
}

// Write collects b, and sends what was collected when it is much.
func (a *answer) Write(b []byte) (int, error) {
	a.b = append(a.b, b...)
	return len(b), a.room()
}

// write sends b. With a lease it is sent in pieces, each of which the client has its time for.
func (a *answer) write(b []byte) error {
	if a.lease == nil {
		_, err := a.w.Write(b)
		return err
	}
	for len(b) > 0 {
		if err := a.lease.renew(); err != nil {
			return err
		}
		n := min(len(b), leasePiece)
		a.sent = true
		if _, err := a.w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// finish sends the rest. An error after something was sent cannot be told any more: the connection is cut off, so that nobody
// takes half an answer for a whole one.
func (a *answer) finish(err error) error {
	if err != nil {
		if a.sent {
			a.g.opt.Logger.Warn("an answer was cut off", "error", err)
			panic(http.ErrAbortHandler)
		}
		h := a.w.Header()
		h.Del("Content-Type")
		h.Del("Content-Disposition")
		return err
	}
	if !a.sent {
		a.w.Header().Set("Content-Length", strconv.Itoa(len(a.b)))
	}
	_ = a.write(a.b) // the client may have gone
	if b := a.b; cap(b) <= 2*answerChunk {
		a.g.buffers.Put(&b)
	}
	return nil
}
