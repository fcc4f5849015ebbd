package gateway

import (
	"context"
	"sync"
)

// readers do for the sessions of the shards what takes longer than memory does: read on from the tape for who is behind the
// ring, and look up places. They are few, so that clients that are behind share what the tape can give and leave the rest to others.
//
// Plays wait in a queue of their own, and no more than half of the readers work for them at once: one that begins may read the trades
// of a whole day, and one that runs flat out is never done. Who is live and only fell behind must not wait for them.
type readers struct {
	mu      sync.Mutex
	queue   []*conn
	plays   []*conn
	playing int  // readers that work for plays
	most    int  // of them
	played  bool // the last that was taken was a play
	more    sync.Cond
	done    bool
}

func newReaders() *readers {
	r := &readers{}
	r.more.L = &r.mu
	return r
}

// add puts a session at the end of the queue. It comes back to its shard by post.
func (r *readers) add(c *conn) {
	r.mu.Lock()
	if c.plays() {
		r.plays = append(r.plays, c)
	} else {
		r.queue = append(r.queue, c)
	}
	r.mu.Unlock()
	r.more.Signal()
}

// run lets n readers work until ctx is done, and waits for them. What is in the queue then is left there.
func (r *readers) run(ctx context.Context, n int) {
	r.mu.Lock()
	r.most = max(1, n/2)
	r.mu.Unlock()
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
			for c, play := r.next(); c != nil; c, play = r.next() {
				c.work(ctx, &sc)
				r.did(play)
			}
		})
	}
	wg.Wait()
}

// next takes the first of a queue, of both in turn; it returns nil at the end. It also returns whether the session plays.
func (r *readers) next() (c *conn, play bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		mayPlay := len(r.plays) > 0 && r.playing < r.most
		switch {
		case r.done:
			return nil, false
		case mayPlay && (!r.played || len(r.queue) == 0):
			c, r.plays = first(r.plays)
			r.playing++
			r.played = true
			return c, true
		case len(r.queue) > 0:
			c, r.queue = first(r.queue)
			r.played = false
			return c, false
		}
		r.more.Wait()
	}
}

// did notes that a reader has worked for a session.
func (r *readers) did(play bool) {
	if !play {
		return
	}
	r.mu.Lock()
	r.playing--
	r.mu.Unlock()
	r.more.Signal() // a play may have waited for this only
}

// first takes the first out of a queue.
func first(queue []*conn) (*conn, []*conn) {
	c := queue[0]
	queue[0] = nil
	if queue = queue[1:]; len(queue) == 0 {
		queue = nil
	}
	return c, queue
}
