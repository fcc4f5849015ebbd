package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/tinylib/msgp/msgp"

	"tapedeck/internal/market"
)

// packAnswer writes in MessagePack one of the server's own answers, which are made as JSON: the same members in the same order.
// Integers stay integers, other numbers become the nearest float. A time is the timestamp extension where the SDKs and our own
// messages have it: in the members t, oldest, from and to. What is not JSON, which would be a mistake of ours, becomes an error
// message that says no more than that.
func packAnswer(dst, jsonText []byte) []byte {
	from := len(dst)
	dec := json.NewDecoder(bytes.NewReader(jsonText))
	dec.UseNumber()
	dst, err := packNext(dst, dec, "", 0)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return dst
		}
	}
	return packAnswer(dst[:from], []byte(`[{"T":"error","code":500,"msg":"internal error"}]`))
}

// packNext writes the next value of dec, which is the member of that name.
func packNext(dst []byte, dec *json.Decoder, name string, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errors.New("nested too deep")
	}
	t, err := dec.Token()
	if err != nil {
		return dst, err
	}
	switch v := t.(type) {
	case json.Delim:
		return packAll(dst, dec, v == '{', depth)
	case nil:
		return msgp.AppendNil(dst), nil
	case bool:
		return msgp.AppendBool(dst, v), nil
	case json.Number:
		return packNumber(dst, v.String()), nil
	case string:
		if name == "t" || name == "oldest" || name == "from" || name == "to" {
			if at, err := market.ParseTime(v); err == nil && at != 0 {
				return appendPackedTime(dst, at), nil
			}
		}
		return appendPackedString(dst, v), nil
	}
	return dst, errors.New("not JSON")
}

// packAll writes what is left of a list or an object that has begun.
func packAll(dst []byte, dec *json.Decoder, object bool, depth int) ([]byte, error) {
	from, count := len(dst), 0
	for dec.More() {
		name := ""
		if object {
			t, err := dec.Token()
			if err != nil {
				return dst, err
			}
			var ok bool
			if name, ok = t.(string); !ok {
				return dst, errors.New("a member without a name")
			}
			dst = appendPackedString(dst, name)
		}
		var err error
		if dst, err = packNext(dst, dec, name, depth+1); err != nil {
			return dst, err
		}
		count++
	}
	if _, err := dec.Token(); err != nil {
		return dst, err
	}
	// The count is known only now, and how long it is written depends on it.
	var head [5]byte
	if object {
		return slices.Insert(dst, from, msgp.AppendMapHeader(head[:0], uint32(count))...), nil
	}
	return slices.Insert(dst, from, msgp.AppendArrayHeader(head[:0], uint32(count))...), nil
}

// packNumber writes a number of JSON.
func packNumber(dst []byte, text string) []byte {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return appendPackedInt(dst, n)
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return msgp.AppendUint64(dst, n)
	}
	f, _ := strconv.ParseFloat(text, 64) // beyond the range of floats it is an infinity, the nearest
	return msgp.AppendFloat64(dst, f)
}
