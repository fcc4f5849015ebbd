package gateway

import (
	"fmt"
	"strings"
	"testing"
)

// TestReadersShare queues many plays before sessions that fell behind: the latter have their turns, and readers of their own.
func TestReadersShare(t *testing.T) {
	r := newReaders()
	r.most = 2
	add := func(name string) {
		s := &session{stream: name}
		if strings.HasPrefix(name, "play") {
			s.play = &play{}
		}
		r.add(&conn{session: s})
	}
	for i := range 6 {
		add(fmt.Sprint("play", i))
	}
	for i := range 4 {
		add(fmt.Sprint("live", i))
	}
	var order []string
	take := func() (play bool) {
		c, play := r.next()
		order = append(order, c.stream)
		return play
	}
	for range 5 {
		take()
	}
	r.did(true)
	for range 2 {
		r.did(take())
	}
	take()
	if got, want := strings.Join(order, " "), "play0 live0 play1 live1 live2 play2 live3 play3"; got != want {
		t.Errorf("the readers took %s, want %s", got, want)
	}
}
