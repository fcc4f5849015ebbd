package gateway

import (
	"context"
	"sync"
)

// readers do for the sessions of the shards what takes longer than memory does: read on from the tape for who is behind the
// ring, and look up places. They are few, so that clients that are behind share what the tape can give and leave the rest to others.
type readers struct {
	mu    sync.Mutex
	queue []*conn
	more  sync.Cond
	done  bool
}

func newReaders() *readers {
	r := &readers{}
	r.more.L = &r.mu
	return r
}

// add puts a session at the end of the queue. It comes back to its shard by post.
func (r *readers) add(c *conn) {
	r.mu.Lock()
	r.queue = append(r.queue, c)
	r.mu.Unlock()
	r.more.Signal()
}

// run lets n readers work until ctx is done, and waits for them. What is in the queue then is left there.
func (r *readers) run(ctx context.Context, n int) {
	defer context.AfterFunc(ctx, func() {
		r.mu.Lock()
		r.done = true
		r.mu.Unlock()
		r.more.Broadcast()
	})()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			var sc scratch
			for c := r.next(); c != nil; c = r.next() {
				c.work(ctx, &sc)
			}
		})
	}
	wg.Wait()
}

// next takes the first of the queue; it returns nil at the end.
func (r *readers) next() *conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) == 0 && !r.done {
		r.more.Wait()
	}
	if r.done {
		return nil
	}
	c := r.queue[0]
	r.queue[0] = nil
	if r.queue = r.queue[1:]; len(r.queue) == 0 {
		r.queue = nil
	}
	return c
}
