package brokertest

import (
	"log/slog"
	"sync"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// NewMQTT starts a broker that lets everybody in, or with a password only those who know it, and returns it with its address
// and what ends it.
func NewMQTT(t *testing.T, password string) (s *mqtt.Server, address string, stop func()) {
	t.Helper()
	s = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	var err error
	if password == "" {
		err = s.AddHook(new(auth.AllowHook), nil)
	} else {
		err = s.AddHook(new(auth.Hook), &auth.Options{Ledger: &auth.Ledger{
			Auth: auth.AuthRules{{Username: "me", Password: auth.RString(password), Allow: true}},
		}})
	}
	if err != nil {
		t.Fatal(err)
	}
	address = FreeAddress(t)
	if err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "t", Address: address})); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = s.Close() }) // nothing is kept that could be lost
	t.Cleanup(stop)
	return s, address, stop
}
