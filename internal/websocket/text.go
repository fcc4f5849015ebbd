package websocket

import "unicode/utf8"

// checkText looks at text of which more may come. It returns how many bytes are whole characters, and whether all of b can be the
// beginning of UTF-8: a character that is cut at the end is no fault, unless no continuation could make it one.
func checkText(b []byte) (whole int, ok bool) {
	whole = len(b)
	for i := whole - 1; i >= 0 && i >= len(b)-3; i-- {
		if !utf8.RuneStart(b[i]) {
			continue
		}
		// FullRune is true of a beginning that cannot be continued, as the end of UTF-8 that is wrong.
		if !utf8.FullRune(b[i:]) {
			whole = i
		}
		break
	}
	return whole, utf8.Valid(b[:whole])
}
