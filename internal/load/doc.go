// Package load is a crowd of streaming clients: it opens as many connections to a server's /v2/tape as it is asked for, counts what
// arrives on each, and measures how long it took. It is what `tapedeck bench fanout` is made of.
//
// The crowd shares its machine with the server that it measures, so a delivery must cost it less than it costs the server. On Linux
// a few loops read all sockets through epoll into one large buffer each, and frames are read where they lie: nothing is copied but the
// beginning of an object whose end is in the next read, and a connection keeps some dozens of bytes. Streams in MessagePack or with
// permessage-deflate, connections over TLS, and other platforms take a slower path that counts the same.
//
// What is checked: on every connection the numbers (seq) of each symbol's trades, and of its quotes, must rise by one. A number
// that is missing is a loss; one that comes twice or goes back is an error of order. CheckAll looks at every tick of every connection.
// CheckSample does that on one connection in sixteen; on the others, as long as they carry one series of numbers, it holds the first
// and last number of a read against the last number before and against how many ticks were read, and looks at each tick only where
// the three do not agree. Inside one read of such a connection a loss and a double could make up for each other; nothing else escapes.
//
// Latency is the time from the stamp "r", which the server gives a tick when it receives it, to the moment at which the bytes have been
// read from the client's socket. Every tick of every connection that is checked in full counts, once. Both ends read their own clock: on one
// machine it is the same one; against a server elsewhere latency contains the difference of the two clocks.
package load
