// Package websocket is RFC 6455 (WebSocket) and RFC 7692 (permessage-deflate) over bytes: handshakes, frames and messages.
//
// It does no reading and writing of its own, except to answer a handshake ([Accept]) or to make one ([Handshake]). Whoever owns the
// connection feeds a [Decoder] with what was read, in pieces of any size, and writes what [AppendFrame] and its kin have built. So
// the same code serves an epoll loop with a thousand sockets on one goroutine, a goroutine for each TLS connection, and a client
// that makes load.
//
// What it does:
//   - It refuses what the RFCs forbid, with the close code that they name: reserved bits and opcodes, lengths that are not minimal,
//     wrong masking, control frames that are long or in pieces, fragments out of order, close codes that may not be sent, and text
//     that is not UTF-8 (at the first wrong byte, not at the end of the message).
//   - It bounds memory: a length is checked at the header, before a byte is kept; room grows with the bytes that came, not with the
//     length that was announced; inflating stops at the first byte over the limit.
//   - It compresses messages without context takeover, so that a message is compressed once for everybody.
//
// What it leaves to the caller: deadlines, who may connect (Host, Origin, credentials), answering pings and closes, ignoring what
// comes behind a close, and closing the connection.
//
// What it does not do: context takeover, windows smaller than 32 KiB for what we compress (an offer that asks for one is declined),
// other extensions, sending messages in fragments, and WebSockets over HTTP/2 or HTTP/3.
package websocket
