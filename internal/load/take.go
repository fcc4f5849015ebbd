package load

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// idle is how long a loop waits for bytes before it looks whether the run is over.
const idle = 20 * time.Millisecond

// take counts what was read from a connection, and then notes that it is lost if err says so.
func (l *loop) take(link *link, p []byte, err error) {
	if len(p) > 0 {
		l.tally.begin(len(p), l.crowd.recording.Load())
		if failed := link.feed(p, l.tally); failed != nil {
			err = failed
		}
		l.tally.record()
	}
	if err == nil && len(link.answer) > 0 {
		err = link.socket.write(link.answer)
		link.answer = link.answer[:0]
	}
	if err != nil {
		l.lose(link, err)
	}
}

// lose notes that a connection is of no use any more. It is closed at the end of the run, by who opened it.
func (l *loop) lose(link *link, err error) {
	if l.crowd.closing.Load() || link.gone {
		return
	}
	link.gone = true
	link.socket.shut()
	if errors.Is(err, io.EOF) {
		err = errors.New("the server ended the connection without a word")
	}
	l.tally.lose(link.ready, fmt.Errorf("connection lost: %w", err))
}
