package websocket

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChooseDeflate(t *testing.T) {
	const (
		yes      = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		yesBits  = yes + "; server_max_window_bits=15"
		no       = ""
		mistaken = "error"
	)
	for _, c := range []struct {
		want   string
		fields []string
	}{
		{no, nil},
		{no, []string{""}},
		{no, []string{" , ,"}},
		{yes, []string{"permessage-deflate"}},
		{yes, []string{"permessage-deflate; client_max_window_bits"}}, // browsers
		{yes, []string{"permessage-deflate;client_max_window_bits=8"}},
		{yes, []string{"permessage-deflate ; client_max_window_bits = \"10\" ; server_no_context_takeover"}},
		{yes, []string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}},
		{yesBits, []string{"permessage-deflate; server_max_window_bits=15"}},
		{yesBits, []string{`permessage-deflate; server_max_window_bits="1\5"`}},
		{no, []string{"permessage-deflate; server_max_window_bits=10"}},
		{yes, []string{"permessage-deflate; server_max_window_bits=10, permessage-deflate"}},
		{yes, []string{"permessage-deflate; server_max_window_bits=10", "permessage-deflate; client_max_window_bits"}},
		{yes, []string{"x-webkit-deflate-frame, bbf-usp-protocol; a=1, permessage-deflate"}},
		{no, []string{"x-webkit-deflate-frame"}},
		{no, []string{"Permessage-Deflate"}}, // names are compared as they are
		{no, []string{"permessage-deflate; unknown"}},
		{no, []string{"permessage-deflate; unknown=1; client_max_window_bits"}},
		{no, []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}},
		{no, []string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}},
		{no, []string{"permessage-deflate; server_no_context_takeover=1"}},
		{no, []string{"permessage-deflate; client_no_context_takeover=true"}},
		{no, []string{"permessage-deflate; server_max_window_bits"}},
		{no, []string{"permessage-deflate; client_max_window_bits=7"}},
		{no, []string{"permessage-deflate; client_max_window_bits=16"}},
		{no, []string{"permessage-deflate; client_max_window_bits=08"}},
		{no, []string{"permessage-deflate; client_max_window_bits=+9"}},
		{no, []string{"permessage-deflate; server_max_window_bits=99999999999999999999"}},
		{mistaken, []string{"permessage-deflate;"}},
		{mistaken, []string{";"}},
		{mistaken, []string{"permessage-deflate client_max_window_bits"}},
		{mistaken, []string{"permessage-deflate; client_max_window_bits="}},
		{mistaken, []string{`permessage-deflate; client_max_window_bits="10`}},
		{mistaken, []string{`permessage-deflate; client_max_window_bits="10\`}},
		{mistaken, []string{`permessage-deflate; client_max_window_bits=""`}},
		{mistaken, []string{`permessage-deflate; client_max_window_bits="1 0"`}},
		{mistaken, []string{"permessage-deflate; =10"}},
		{mistaken, []string{"permessage-deflate; a=b=c"}},
		{mistaken, []string{"permessage deflate"}},
		{mistaken, []string{"permessage-d\xc3\xa9flate"}},
		{mistaken, []string{"\x00"}},
	} {
		offers, err := parseExtensions(c.fields)
		got := chooseDeflate(offers)
		if err != nil {
			got = mistaken
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.fields, got, c.want)
		}
	}
}

// FuzzHandshakeExtensions: any bytes are read without a panic, what is read is made of tokens, and written plainly it is read as the
// same.
func FuzzHandshakeExtensions(f *testing.F) {
	for _, s := range []string{
		"permessage-deflate", `permessage-deflate; client_max_window_bits="1\0"; server_no_context_takeover, x; y = z`, ",,;", `a;b="`, "a;b=c\td",
	} {
		f.Add(s, "")
		f.Add("x", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		list, err := parseExtensions([]string{a, b})
		if err != nil {
			if !errors.Is(err, errExtensions) || list != nil {
				t.Fatalf("got %v and %v", list, err)
			}
			return
		}
		var plain []string
		for _, x := range list {
			s := x.name
			for _, p := range x.params {
				s += "; " + p.name
				if p.valued {
					s += "=" + p.value
				}
			}
			plain = append(plain, s)
		}
		again, err := parseExtensions([]string{strings.Join(plain, ", ")})
		if err != nil {
			t.Fatalf("%q: %v", plain, err)
		}
		if diff := cmp.Diff(list, again, cmp.AllowUnexported(extension{}, param{})); diff != "" {
			t.Errorf("%q (-first +again):\n%s", plain, diff)
		}
		switch answer := chooseDeflate(list); answer {
		case "":
		default:
			terms, err := parseExtensions([]string{answer})
			if err != nil || len(terms) != 1 {
				t.Fatalf("answer %q: %v", answer, err)
			}
			if p, ok := deflateParams(terms[0].params, false); !ok || !p.serverFresh || !p.clientFresh || p.clientBits != 0 {
				t.Errorf("answer %q is not what a client may take", answer)
			}
		}
	})
}
