package gateway

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUnpack reads every type, as the specification draws it.
func TestUnpack(t *testing.T) {
	for in, want := range map[string]any{
		"c0": nil, "c2": false, "c3": true, "00": json.Number("0"), "7f": json.Number("127"), "ff": json.Number("-1"), "e0": json.Number("-32"),
		"cc ff": json.Number("255"), "cd ffff": json.Number("65535"), "ce ffffffff": json.Number("4294967295"),
		"cf ffffffffffffffff": json.Number("18446744073709551615"), "d0 80": json.Number("-128"), "d1 8000": json.Number("-32768"),
		"d2 80000000": json.Number("-2147483648"), "d3 8000000000000000": json.Number("-9223372036854775808"), "d3 0000000000000001": json.Number("1"),
		"ca 3dcccccd": json.Number("0.1"), "cb 3fb999999999999a": json.Number("0.1"), "cb 41dac10eba000000": json.Number("1795439336"),
		"a0": "", "a3 414243": "ABC", "d9 03 414243": "ABC", "da 0003 414243": "ABC", "db 00000003 414243": "ABC", "a2 c3a9": "é",
		"90": []any{}, "92 01 c0": []any{json.Number("1"), nil}, "dc 0001 c3": []any{true}, "dd 00000001 c3": []any{true},
		"80": map[string]any{}, "81 a161 01": map[string]any{"a": json.Number("1")}, "de 0001 a161 90": map[string]any{"a": []any{}},
		"df 00000001 d90161 c0": map[string]any{"a": nil},
		"c4 01 ff":              opaque{}, "c5 0001 ff": opaque{}, "c6 00000001 ff": opaque{}, "d4 05 00": opaque{}, "d8 01 00112233445566778899aabbccddeeff": opaque{},
		"c7 00 05": opaque{}, "c8 0001 05 ff": opaque{}, "c9 00000001 05 ff": opaque{},
		"d6 ff 6b044de8": "2026-11-23T14:30:00Z", "d7 ff 3b9aca00 6b044de8": "2026-11-23T14:30:00.25Z",
		"c7 0c ff 1dcd6500 ffffffffffffffff": "1969-12-31T23:59:59.5Z",
	} {
		if got, err := unpackValue(unhex(t, in)); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: got %#v, %v, want %#v", in, got, err, want)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"": "ends too early", "cd 00": "ends too early", "a3 4142": "ends too early", "92 01": "ends too early", "81 a161": "ends too early", "d6 ff 00": "ends too early",
		"c4 02 00": "ends too early", "c7 05": "ends too early", "d9": "ends too early", "cb 00": "ends too early", "d2 00": "ends too early", "82 a161 01": "ends too early",
		"db ffffffff 41": "ends too early", "dd ffffffff": "ends too early", "df ffffffff": "ends too early", "c6 ffffffff": "ends too early", "c9 ffffffff 05": "ends too early",
		"c1": "not MessagePack at byte 0", "91 c1": "not MessagePack at byte 1", "c0 c0": "follows the message at byte 1",
		"a1 ff": "at byte 1 is not UTF-8", "81 a161 a1 ff": "at byte 4 is not UTF-8", "81 01 01": "at byte 1 is not a text", "81 c0 01": "is not a text",
		"82 a161 01 a161 02": `"a" occurs twice`, "ca 7fc00000": "at byte 0 is not a number", "91 cb 7ff0000000000000": "at byte 1 is not a number",
		strings.Repeat("91", 20) + "c0": "nested deeper", strings.Repeat("81a161", 20) + "c0": "nested deeper",
		"d4 ff 00": "has 1 bytes", "d7 ff ffffffff 00000000": "out of range", "c7 0c ff 00000000 7fffffffffffffff": "out of range",
		"c7 0c ff 3b9aca00 0000000000000000": "out of range",
	} {
		if got, err := unpackValue(unhex(t, in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want an error with %q", in, got, err, want)
		}
	}
}

// TestUnpackBelievesNoClaim reads headers that promise gigabytes, also one within the other: they cost nothing.
func TestUnpackBelievesNoClaim(t *testing.T) {
	for _, in := range []string{"dd ffffffff", "df ffffffff", "db ffffffff", "c6 ffffffff", strings.Repeat("dd ffffffff ", 15), strings.Repeat("df ffffffff a161 ", 15)} {
		data := unhex(t, in)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := unpackValue(data)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > 64<<10 {
			t.Errorf("%s: got %d bytes and %v, want next to nothing and an error", in, n, err)
		}
	}
}

// TestPackedRequests reads each request in both encodings.
func TestPackedRequests(t *testing.T) {
	for _, text := range []string{
		`{"action":"auth","key":"k","secret":"s"}`,
		`{"action":"subscribe","trades":["AAPL"],"quotes":[],"bars":null,"lulds":["AAPL"],"statuses":["*"],"corrections":["AAPL"],"cancelErrors":["AAPL"],` +
			`"orderbooks":["BTC/USD"],"imbalances":[],"news":["*"],"pricing":null}`,
		`{"action":"subscribe","trades":["*"],"mode":"latest","every":"50ms","cursor":true}`,
		`{"action":"subscribe","trades":["*"],"from":{"cursor":"` + tape.Cursor{Position: 7, Index: 3}.String() + `"}}`,
		`{"action":"subscribe","trades":["*"],"from":{"time":"2026-11-23T14:30:00.25Z"}}`,
		`{"action":"subscribe","trades":["*"],"from":{"time":1795444200}}`,
		`{"action":"play","from":"2026-11-23T14:30:00Z","to":"2026-11-23T15:00:00Z","speed":10}`, `{"action":"play","from":1795444200,"speed":"max"}`,
		`{"action":"play","from":{"time":"2026-11-23"},"speed":0.1}`, `{"action":"seek","time":"2026-11-23T14:30:00Z"}`, `{"action":"seek","t":1795444200}`,
		`{"action":"speed","speed":"max"}`, `{"action":"speed","speed":2.5}`, `{"action":"step"}`, `{"action":"step","ticks":10}`, `{"action":"pause"}`,
		`{"action":"play"}`, `{"action":"seek"}`, `{"action":"speed"}`, `{"action":"step","ticks":1.5}`, `{"action":"play","from":1795444200,"speed":10001}`,
		`{"action":"unsubscribe","trades":["AAPL"]}`,
		`{"action":1}`, `[]`, `{}`, `{"action":"subscribe","trades":[1]}`, `{"action":"subscribe","trades":[""]}`, `{"action":"subscribe","cursor":1}`,
		`{"action":"subscribe","mode":"x"}`, `{"action":"subscribe","every":50}`, `{"action":"subscribe","every":"-1s"}`, `{"action":"subscribe","from":{}}`,
		`{"action":"subscribe","from":{"time":true}}`, `{"action":"subscribe","from":{"time":"noon"}}`, `{"action":"subscribe","from":7}`,
	} {
		want, wantErr := parseRequest(false, []byte(text))
		got, err := parseRequest(true, packAnswer(nil, []byte(text)))
		if diff := cmp.Diff(got, want, cmp.AllowUnexported(request{}, departure{}, order{})); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		if says(err) != strings.Replace(says(wantErr), "JSON object", "MessagePack map", 1) {
			t.Errorf("%s: got the error %v, want %v", text, err, wantErr)
		}
	}
	// What has no counterpart in JSON may be in what is ignored, and nowhere else.
	for in, want := range map[string]string{
		"82 a6616374696f6e a473746f70 a178 c40100":              "",
		"82 a6616374696f6e a473746f70 a6747261646573 91 c40100": `"trades" must be a list of symbols; number 1 is none`,
		"82 a6616374696f6e c40100 a178 c0":                      `"action" must be a string`,
	} {
		if _, err := parseRequest(true, unhex(t, in)); says(err) != want {
			t.Errorf("%s: got %v, want %q", in, err, want)
		}
	}
}

func says(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestDepartureTimes gives the time to go on from in every way that REST takes one.
func TestDepartureTimes(t *testing.T) {
	for in, want := range map[string]market.Time{
		`"2026-11-23T14:30:00Z"`: t0, `"2026-11-23T09:30:00-05:00"`: t0, `"2026-11-23"`: t0.Floor(24 * market.Hour), `"1795444200"`: t0, `1795444200`: t0,
		`1795444200000`: t0, `1795444200000000`: t0, `1795444200000000000`: t0, `1795444200000000001`: t0 + 1, `1.7954442e9`: t0, `1795444200.0`: t0,
	} {
		text := []byte(`{"action":"subscribe","trades":["*"],"from":{"time":` + in + `}}`)
		for packed, data := range map[bool][]byte{false: text, true: packAnswer(nil, text)} {
			r, err := parseRequest(packed, data)
			if err != nil || r.from == nil || r.from.time != want || r.from.cursor != nil {
				t.Errorf("%s, packed %v: got %+v, %v, want %v", in, packed, r, err, want)
			}
		}
	}
	for _, in := range []string{`"noon"`, `-1`, `1.5`, `1e40`, `99999999999`, `20261123`, `"2026-13-01"`, `""`} {
		if _, err := parseRequest(false, []byte(`{"action":"subscribe","from":{"time":`+in+`}}`)); err == nil || !strings.Contains(err.Error(), `"from.time"`) {
			t.Errorf("%s: got %v, want an error that names from.time", in, err)
		}
	}
}

// asJSON returns a value that was read as JSON; ok is false when there is no JSON for it.
func asJSON(v any) (text []byte, ok bool) {
	switch v := v.(type) {
	case opaque:
		return nil, false
	case []any:
		for _, x := range v {
			if _, ok := asJSON(x); !ok {
				return nil, false
			}
		}
	case map[string]any:
		for _, x := range v {
			if _, ok := asJSON(x); !ok {
				return nil, false
			}
		}
	}
	text, err := json.Marshal(v)
	return text, err == nil
}

// FuzzUnpack reads any bytes: what is taken is MessagePack to another decoder as well, and says the same as JSON.
func FuzzUnpack(f *testing.F) {
	for _, s := range []string{
		`{"action":"auth","key":"k","secret":"s"}`, `{"action":"subscribe","trades":["SIM:AAPL"],"from":{"time":1795444200}}`,
		`{"action":"subscribe","trades":["*"],"mode":"latest","every":"50ms","cursor":true,"x":[1.5,-7,null,{"t":"2026-11-23T14:30:00.25Z"}]}`,
	} {
		f.Add(packAnswer(nil, []byte(s)))
	}
	f.Add(bytes.Repeat([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}, 20))
	f.Add([]byte{0xc7, 0x0c, 0xff, 0x1d, 0xcd, 0x65, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x82, 0xa1, 'a', 0xc4, 1, 0, 0xa1, 'b', 0xca, 0x7f, 0xc0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := unpackValue(data)
		r, rErr := parseRequest(true, data)
		if err != nil {
			if rErr == nil {
				t.Fatalf("%x: got a request and the error %v", data, err)
			}
			if text := (&refusal{code: 400, msg: err.Error()}).append(nil); !json.Valid(text) {
				t.Fatalf("the answer is not JSON: %s", text)
			}
			return
		}
		if rest, err := msgp.Skip(data); err != nil || len(rest) > 0 {
			t.Fatalf("%x was read as %v, but another decoder says %v, with %d bytes left", data, v, err, len(rest))
		}
		text, ok := asJSON(v)
		if !ok {
			return
		}
		again, err := decodeJSON(text)
		if err != nil || !cmp.Equal(again, v) {
			t.Fatalf("%x: got %#v, in JSON %#v, %v", data, v, again, err)
		}
		same, sameErr := parseRequest(false, text)
		if diff := cmp.Diff(r, same, cmp.AllowUnexported(request{}, departure{}, order{})); diff != "" || (rErr == nil) != (sameErr == nil) {
			t.Fatalf("%s: %s, %v and %v", text, diff, rErr, sameErr)
		}
	})
}
