package gateway

import (
	"errors"
	"testing"

	"github.com/coder/websocket"
)

func asClose(err error, end *websocket.CloseError) bool { return errors.As(err, end) }

func TestHealth(t *testing.T) {
	b := serve(t, newMemTape(), nil)
	if code, _, body := b.get("/health"); code != 200 || body != `{"status":"ok"}` {
		t.Errorf("got %d %s", code, body)
	}
}
