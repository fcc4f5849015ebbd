package store

import (
	"errors"
	"fmt"
	"sync"
)

// health is why the store does not do what it should.
type health struct {
	mu      sync.Mutex
	waiting error // why the recorder waits
	stop    error // why it stopped
	damaged error // what a check found
}

func (h *health) recording(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = err
}

func (h *health) stopped(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting, h.stop = nil, err
}

func (h *health) damage(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.damaged = err
}

func (h *health) isDamaged() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.damaged != nil
}

// notice makes sure that damage which a query met with is not forgotten, and returns err.
func (s *Store) notice(err error) error {
	if errors.Is(err, ErrCorrupt) && !s.health.isDamaged() {
		s.log.Error("the store is damaged; restart to make it again from the tape", "path", s.path, "error", err)
		s.health.damage(err)
	}
	return err
}

// Health returns nil when the store is sound and recording, and otherwise what an operator should know.
func (s *Store) Health() error {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.damaged != nil:
		return fmt.Errorf("the store is damaged, restart to make it again from the tape: %w", h.damaged)
	case h.stop != nil:
		return fmt.Errorf("the recorder stopped: %w", h.stop)
	case h.waiting != nil:
		return fmt.Errorf("recording waits, the tape keeps what comes: %w", h.waiting)
	}
	return nil
}
