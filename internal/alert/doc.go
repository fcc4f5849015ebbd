// Package alert watches the tape for what its rules describe.
//
// A Rule names symbols and a condition in a small language. A Program is a condition that was checked and made ready; it can be
// evaluated at any tick in bounded time, since the language has no loops and every function of it is kept up to date as ticks
// come. A Book holds what the conditions look at, symbol by symbol, and the state of each rule; it is a pure machine: the same
// records give the same alarms, whether they are of now or of last year. An Engine drives a book along the tape, puts the
// alarms back onto it, and keeps the book's state together with the position that it belongs to.
package alert
