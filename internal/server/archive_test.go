package server

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestParseAge(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "0s": 0, "7d": 7 * day, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute, "0d": 0} {
		got, err := parseAge(text)
		if err != nil || got != want {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
		if again, err := parseAge(formatAge(got)); err != nil || again != got {
			t.Errorf("%q: printed as %q, read as %s, %v", text, formatAge(got), again, err)
		}
	}
	for _, text := range []string{"", "d", "7", "-1d", "-1h", "1.5d", "7dd", "99999999d", "200000000h", "7 d", "a week"} {
		if got, err := parseAge(text); err == nil {
			t.Errorf("%q was read as %s", text, got)
		}
	}
}

func FuzzParseAge(f *testing.F) {
	for _, s := range []string{"7d", "36h", "0", "99999999999d", "1h1d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseAge(s)
		if err != nil {
			return
		}
		if again, err := parseAge(formatAge(v)); v < 0 || v > maxAge || err != nil || again != v {
			t.Errorf("%q is %s, printed as %q and read as %s, %v", s, v, formatAge(v), again, err)
		}
	})
}

func TestArchiveSettings(t *testing.T) {
	for name, test := range map[string]struct {
		set  map[string][]string
		says string
	}{
		"keep alone":       {map[string][]string{"keep": {"30d"}}, "hot"},
		"room alone":       {map[string][]string{"keep_bytes": {"1GiB"}}, "hot"},
		"keep below hot":   {map[string][]string{"keep": {"1d"}, "hot": {"7d"}}, "less than hot"},
		"no such place":    {map[string][]string{"archive": {"ftp://x"}}, "neither file nor s3"},
		"half a login":     {map[string][]string{"archive": {"s3://b?key=hush"}}, "go together"},
		"not an age":       {map[string][]string{"hot": {"a week"}}, "7d"},
		"not even a place": {map[string][]string{"archive": {"s3://b:%zz?secret=hush"}}, "archive"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, ""), nil, test.set)
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v, want one about %s", err, test.says)
			}
		})
	}
	c, err := Load(write(t, "hot: 7d\nkeep: 365d\nkeep_bytes: 500GiB\narchive: s3://b/p?key=abc&secret=hush&endpoint=http://h\n"), nil, nil)
	if err != nil || c.Hot != 7*day || c.Keep != 365*day || c.KeepBytes != 500<<30 {
		t.Fatalf("got %+v, %v", c, err)
	}
	var out bytes.Buffer
	if err := c.Print(&out, MaskFeed); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Contains(s, "hush") || !strings.Contains(s, "hot: 7d\n") || !strings.Contains(s, "secret=***") {
		t.Errorf("printed:\n%s", s)
	}
}
