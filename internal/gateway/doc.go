// Package gateway serves the tape and history to clients: streams over WebSocket and Server-Sent Events, REST, health, metrics and
// the page.
//
// # The hub
//
// One goroutine reads the tape and keeps what is recent in a ring of blocks, one for each record. A block is encoded once per dialect
// and format, by the first session that needs it.
//
// # Sessions
//
// A session is one client of a stream: a place on the tape, a set of symbols, and what is to be said besides. It does no input or
// output: who drives it brings what the client sent (hear), lets it answer (answer), takes what is to be sent first (unsent) and has
// it build what is due next (compose). There is no queue per client. What a client does not take stays where it is, on the tape;
// a session that is slower than the ring is long reads on from the tape by position, until it is within the ring again. So a client
// that does not read costs its socket's buffer and one message, and others do not notice it.
//
// What is due is built as a parcel: whole frames, or whole events of SSE, of about Limits.Frame bytes at most, compressed if the client offered
// that. Clients of the same manner (dialect, format, carrier, compression, cursors, mode) that want the same symbols and stand at the
// same place are sent the same parcel. It is counted who holds it, and it is used again when nobody does.
//
// # Plays
//
// A session that plays is told the past: a clock bounds how far it may read, and an entry of the tape is due when the clock has come to the latest
// time of receipt up to it (see play). What the tape does not have, and imports, come from history by the venues' times (see rows), merged by when
// each is due. The driver is told when there is something to do next, so a play has no goroutine and no timer. When it has come to the end of the
// tape it forgets its clock, and is live.
//
// # Who drives a session
//
// A shard drives many, on raw sockets: a goroutine that reads what came, and writes to each client all that is due in one write that
// does not wait. What the socket does not take stays as the rest of a parcel, until epoll says that there is room. A second goroutine
// waits for epoll, by way of Go's own poller. There is a shard for each processor but one, on Linux.
//
// The readers do for the sessions of the shards what takes longer than memory does: read the tape for who is behind the ring, and look up
// the place of a cursor or a time. They are Limits.CatchUps in number. A session is handed to them and comes back; it belongs to
// one goroutine at any moment. Blocks that were read from the tape are kept for a while, because clients fall behind together.
//
// A soloist drives one session with two goroutines of its own, and may wait for its client: over TLS, on other systems, where HTTP/2
// carries the events, and when Options.Portable says so. Limits.CatchUps bounds how many of them read the tape at once. The tests of the
// streams run over all three: shards, soloists on sockets, soloists on TLS.
//
// At the end of Run sessions are told to leave, with a goodbye. One in mode every that has no cursors to come back with is sent what is
// in the ring first. After Options.Drain those that are left are cut.
//
// # Streams
//
// /v2/tape speaks the dialect of Alpaca's market-data stream v2 with full symbols and Tapedeck's additions, and /v2/tape/sse says the
// same as Server-Sent Events. /v2/iex, /v2/sip, /v2/delayed_sip and /v2/test speak it with bare names, /v1beta3/crypto/us with
// pairs as BTC/USD, and none of these is sent what the SDKs do not know. All of them but the events are JSON or MessagePack.
// /ws/prices sends one small message a trade.
//
// A WebSocket is closed with one of these codes:
//
//	1000  the client closed it; its own code when it gave another one
//	1001  the server is shutting down; the reason is "shutting down", and " cursor=<cursor>" for clients that asked for cursors
//	1002  the client broke the protocol; the reason says how
//	1003  the client sent a binary message on a stream of JSON
//	1007  the client sent a text that is not UTF-8, or a message that cannot be inflated
//	1008  the client sent messages and pings faster than allowed
//	1009  the client sent a message larger than allowed, inflated
//	1011  something failed here
//	4004  the client did not authenticate in time (it was told so by error 404)
//	4016  records that were due to the client are no longer on the tape (it was told so by error 416)
//
// Errors in the stream carry Alpaca's codes where there is one (400 invalid syntax, 403 already authenticated, 404 auth timeout, 405
// symbol limit exceeded, 410 invalid action, 500 internal error) and 416 for a place that cannot be gone on from, with its reason:
// "epoch" (the tape is another), "trimmed" (too old; "oldest" is the time that can be had) or "future" (beyond the end of this tape).
// The events have no codes: what is wrong with their request is a problem of HTTP, and their end is that of the connection.
package gateway
