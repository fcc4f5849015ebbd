//go:build race

package websocket

// raceEnabled says that pools forget at random, so that allocations cannot be counted.
const raceEnabled = true
