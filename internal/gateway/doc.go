// Package gateway serves the tape and history to clients: WebSocket streams, REST, health, metrics and the page.
//
// # The hub
//
// One goroutine reads the tape and keeps what is recent in a ring of blocks, one for each record. A block is encoded once per
// dialect, by the first session that needs it. A session is a place on the tape and a set of symbols: it copies what is due
// to it out of the blocks into one frame and writes it. There is no queue per client. A session that is slower than the
// ring is long reads on from the tape at its own pace, by position, until it is within the ring again. So a client that
// does not read costs its socket buffer and one frame, and others do not notice it.
//
// # Streams
//
// /v2/tape speaks the dialect of Alpaca's market-data stream v2 with full symbols and Tapedeck's additions; /v2/iex, /v2/sip,
// /v2/delayed_sip and /v2/test speak it with bare names, /v1beta3/crypto/us with pairs as BTC/USD, and neither is sent what
// the SDKs do not know. /ws/prices sends one small message a trade.
//
// A WebSocket is closed with one of these codes:
//
//	1000  the client closed it
//	1001  the server is shutting down; the reason is "shutting down", and " cursor=<cursor>" for clients that asked for cursors
//	1003  the client sent a binary message
//	1007  the client sent a text that is not UTF-8
//	1008  the client sent messages faster than allowed
//	1009  the client sent a message larger than allowed
//	1011  something failed here
//	4016  records that were due to the client are no longer on the tape (it was told so by error 416)
//
// Errors in the stream carry Alpaca's codes where there is one (400 invalid syntax, 403 already authenticated, 405 symbol limit
// exceeded, 410 invalid action) and 416 for a place that cannot be resumed from, with its reason: "epoch" (the tape is
// another), "trimmed" (too old; "oldest" is the time that can be had) or "future" (beyond the end of this tape).
package gateway
