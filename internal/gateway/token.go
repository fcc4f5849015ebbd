package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"tapedeck/internal/market"
)

// pageToken says where a page of an answer ended: behind a tick or bar of a symbol.
type pageToken struct {
	symbol market.Symbol
	key    market.TickKey // of a bar, Event is its start and Seq is 0
	hash   uint32         // of what was asked for; the next page must be of the same question
	from   market.Time    // where the answer begins, so that one that began today still does tomorrow
}

const tokenVersion = 1

// String writes the token as base64url of a version byte, the hash, the times and the number as varints, the symbol, and four bytes
// of CRC-32, so that a mangled one is refused.
func (t pageToken) String() string {
	b := []byte{tokenVersion}
	b = binary.LittleEndian.AppendUint32(b, t.hash)
	b = binary.AppendVarint(b, int64(t.from))
	b = binary.AppendVarint(b, int64(t.key.Event))
	b = binary.AppendUvarint(b, t.key.Seq)
	b = append(b, t.symbol...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

var errToken = errors.New("not a token of this server")

// parseToken reads what String wrote.
func parseToken(s string) (pageToken, error) {
	if len(s) > 200 {
		return pageToken{}, errToken
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 1+4+1+1+1+1+4 || b[0] != tokenVersion {
		return pageToken{}, errToken
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.ChecksumIEEE(body) != sum {
		return pageToken{}, errToken
	}
	t := pageToken{hash: binary.LittleEndian.Uint32(body[1:])}
	rest := body[5:]
	from, n := binary.Varint(rest)
	if n <= 0 {
		return pageToken{}, errToken
	}
	rest = rest[n:]
	event, n := binary.Varint(rest)
	if n <= 0 {
		return pageToken{}, errToken
	}
	rest = rest[n:]
	t.from = market.Time(from)
	seq, n := binary.Uvarint(rest)
	if n <= 0 {
		return pageToken{}, errToken
	}
	t.key = market.TickKey{Event: market.Time(event), Seq: seq}
	if t.symbol, err = market.ParseSymbol(string(rest[n:])); err != nil {
		return pageToken{}, errToken
	}
	return t, nil
}
