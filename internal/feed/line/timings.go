package line

import "time"

// timings are how long the line waits for what. The tests of this package make them shorter.
type timings struct {
	dial     time.Duration // for a connection to come up
	settle   time.Duration // from an acknowledged subscription to asking for what came before: by then history knows it
	patience time.Duration // the venue says that it has come further before the difference is a hole
	retry    time.Duration // until history is asked again that could not be read
	fill     time.Duration // for one hole; live trades of its symbol wait so long at most
	stall    time.Duration // a symbol is silent for this at least before history is asked whether it should be
	ready    time.Duration // for a connection that replaces another to be up in full
	sweep    time.Duration // between two looks at all that waits for time to pass
	window   time.Duration // in which connects are counted
	healthy  time.Duration // a connection lives so long before it counts as one that works
	refused  time.Duration // until a venue that refused what it took before is asked again
	unlisted time.Duration // until a list that could not be read is asked for again
	scale    time.Duration // pauses between attempts are divided by it
}

func realTimings() timings {
	return timings{
		dial: 10 * time.Second, settle: time.Second, patience: 2 * time.Second, retry: 15 * time.Second, fill: 2 * time.Minute,
		stall: 30 * time.Second, ready: 10 * time.Second, sweep: 100 * time.Millisecond, window: time.Minute, healthy: time.Minute,
		refused: 5 * time.Minute, unlisted: 30 * time.Second, scale: 1,
	}
}

// Bounds of what is held in memory.
const (
	maxWaiting    = 8 << 20  // bytes of live trades of one symbol that wait for a hole to be filled
	maxAllWaiting = 64 << 20 // of all symbols
	maxFetched    = 100_000  // trades of one hole
	maxBody       = 64 << 20 // bytes of an answer
	maxMessage    = 16 << 20 // bytes of a message: Coinbase sends more than 10 MB
	maxGaps       = 50       // gaps that one hole leaves at most
	maxTries      = 6        // of one request in a row
	maxFills      = 4        // holes that are filled at once
	connects      = 10       // a minute, after the first of each connection
)
