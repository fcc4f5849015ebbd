package gateway

import (
	"context"

	"tapedeck/internal/market"
)

// EvidenceHistory is history that knows what is known of which time, and by what.
type EvidenceHistory interface {
	// Evidence calls yield with what is known of a symbol between two times, in no order and with overlaps, until yield returns an error,
	// which is then returned.
	Evidence(ctx context.Context, symbol market.Symbol, from, to market.Time, yield func(market.Evidence) error) error
}

// silence is how long after the last sign of life of a feed it is still taken for connected.
const silence = 10 * market.Second
