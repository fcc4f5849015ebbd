// Package broker is what feeds out of message brokers, and targets that are published to, have in common: where a broker is and
// who may speak with it, how its clients are set up, how a message becomes ticks, and how ticks and the place in a source travel
// to the tape together.
package broker

import (
	"time"

	"tapedeck/internal/market"
)

// Params are the parameters of a URL.
type Params interface {
	Get(name string) string
	Has(name string) bool
	List(name string) []string
	Bool(name string, otherwise bool) (bool, error)
	Uint(name string, otherwise uint64) (uint64, error)

	// Secret returns the value of a parameter, or what it names: env:NAME, file:PATH.
	Secret(name string) (string, error)

	// Errorf returns an error about a parameter that no further attempt would mend.
	Errorf(name, problem string) error
}

// Patience is how long a broker has to answer one question.
const Patience = 5 * time.Second

// Look is the time between two looks at whether a broker that says nothing is still there.
const Look = 5 * time.Second

// Message is one message of a broker.
type Message struct {
	Value    []byte
	Key      string      // of Kafka
	Topic    string      // topic, subject or channel
	Time     market.Time // that the broker or the producer gave it; 0 when they don't
	Received market.Time
}
