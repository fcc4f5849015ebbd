// Package candle makes bars of ticks. It is a state machine: what comes out depends only on the entries that went in and their
// order, never on a clock, on goroutines or on where a batch was cut, so that a tape that is read again gives the same bars.
//
// A Machine is fed with the entries of each feed in the order of the tape and keeps the bars of every symbol that may still
// change. Drain hands out those that did:
//
//	f := m.Feed("coinbase")
//	for i := range batch {
//		if err := f.Push(&batch[i]); err != nil {
//			// this entry is in no bar; the machine goes on
//		}
//	}
//	changes = m.Drain(changes[:0])
//
// # Which bars
//
// Where nothing traded there is no bar. Bars shorter than a day are aligned to UTC. A daily bar covers a trading day of the
// symbol's calendar, and takes only trades of the sessions that make days there: of US equities the regular one, with the print
// of the closing auction. What a trade does to a bar is up to the rule set of its venue.
//
// # When a bar closes
//
// A bar closes when the clock of its feed, the latest event time of its trades, quotes and heartbeats, has passed the end of
// the bar by Options.Grace. It stays in memory for Options.Window after that, for late trades; each one is a revision.
//
// A trade for a bar that has left memory makes a delta: a bar of just the late trades, to be laid over the stored one with
// Merge. Memory is thus bounded: of each symbol, the bars that end later than the clock less Grace and Window, and what was
// not drained yet.
//
// # After a restart
//
// Before the first Push, Load gives back the newest stored bar of each interval of each symbol and every bar that is not
// final, and Advance the clock. From there on the machine does what it would have done without the restart.
package candle
