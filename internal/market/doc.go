// Package market is the vocabulary of Tapedeck: symbols, times, exact decimals, the entries of the tape
// (trades, quotes, gaps, heartbeats, statuses, alarms), bars and the calendars that bars of exchange-listed symbols
// follow. It does no I/O, starts no goroutines and imports only the standard library.
package market
