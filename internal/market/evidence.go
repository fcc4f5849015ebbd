package market

// Origin says by what we know of a span of time.
type Origin uint8

// The origins. Their numbers are part of the store's format.
const (
	OriginConnected  Origin = 1 // the feed of the symbol said something: ticks, heartbeats, that it is live
	OriginLive       Origin = 2 // trades came as they happened
	OriginBackfilled Origin = 3 // trades were fetched after the fact
	OriginImported   Origin = 4 // trades or bars came from a file
)

// QuietAfter is how long nothing may trade before a symbol is quiet. Evidence of trades that is no further apart is of one span.
const QuietAfter = Minute

// Evidence says that something is known of a symbol between two moments, and by what. A span of trades is from the whole second of its
// first trade to the end of that of its last; within it, trades are no further apart than QuietAfter.
type Evidence struct {
	Origin   Origin
	From, To Time // [From, To)
	Known    Time // when the first of it was received
}

// Span is a half-open span of time.
type Span struct{ From, To Time }
