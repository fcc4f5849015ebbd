package gateway

import (
	"errors"
	"fmt"
	"testing"
)

type misplaced struct{}

func (misplaced) Error() string { return "open /var/lib/secret/a.parquet: no such file" }

func (misplaced) Place() string { return "the archived file trades/a.parquet" }

// TestUnreadable looks at what a client is told when history cannot be read: which file is at fault, and nothing of where it lies.
func TestUnreadable(t *testing.T) {
	for err, want := range map[error]string{
		fmt.Errorf("read: %w", misplaced{}): "the server could not read its history: the archived file trades/a.parquet is missing or damaged; other days can be read",
		errors.New("/var/lib/secret broke"): "the server could not read its history; its log says why",
	} {
		if got := unreadable(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
