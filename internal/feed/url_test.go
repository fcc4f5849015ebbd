package feed_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/feed"
)

func registry() *feed.Registry {
	open := func(*feed.URL, feed.Start) (feed.Source, error) { return nil, errors.New("not in this test") }
	return feed.NewRegistry(
		feed.Adapter{Scheme: "sim", Venue: "SIM", Params: []string{"symbols", "rate", "seed", "quotes"}, Open: open},
		feed.Adapter{Scheme: "replay", Venue: "REPLAY", Params: []string{"symbol", "speed", "loop", "map"}, Open: open},
		feed.Adapter{Scheme: "alpaca", Params: []string{"feed", "key", "secret"}, Open: open},
		feed.Adapter{Scheme: "ws+json", Params: []string{"map", "token"}, Open: open},
		feed.Adapter{Scheme: "nats", Open: open},
	)
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ url, target, name, venue string }{
		"no target":      {"sim://?symbols=AAPL", "", "sim", "SIM"},
		"capitals":       {"SIM://", "", "sim", "SIM"},
		"symbols":        {"alpaca://AAPL,BRK.B?feed=iex", "AAPL,BRK.B", "alpaca", "ALPACA"},
		"absolute path":  {"replay:///a/b%20c.csv?speed=10", "/a/b c.csv", "replay", "REPLAY"},
		"relative path":  {"replay://rel/path.csv", "rel/path.csv", "replay", "REPLAY"},
		"space":          {"replay:///a/b c, d.csv", "/a/b c, d.csv", "replay", "REPLAY"},
		"value with =":   {"replay:///a?map=time=ts,price=px", "/a", "replay", "REPLAY"},
		"venue":          {"alpaca://AAPL?venue=nasdaq", "AAPL", "alpaca", "NASDAQ"},
		"name":           {"alpaca://AAPL?name=us-1", "AAPL", "us-1", "US-1"},
		"name of a sim":  {"sim://?name=load", "", "load", "SIM"},
		"name and venue": {"sim://?name=load&venue=X", "", "load", "X"},
		"two words":      {"ws+json://host/path?map=x", "host/path", "ws-json", "WS-JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := registry().Parse(c.url)
			if err != nil {
				t.Fatal(err)
			}
			if u.Target != c.target || u.Name != c.name || u.Venue != c.venue {
				t.Errorf("got %q %q %q, want %q %q %q", u.Target, u.Name, u.Venue, c.target, c.name, c.venue)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		url  string
		want []string
	}{
		"empty":             {"", []string{"scheme://"}},
		"no scheme":         {"AAPL,MSFT", []string{"scheme://"}},
		"odd scheme":        {"a b://x", []string{"scheme"}},
		"unknown scheme":    {"simm://", []string{"simm", "did you mean sim?", "replay"}},
		"unknown parameter": {"sim://?symbol=AAPL", []string{"unknown parameter symbol", "did you mean symbols?"}},
		"swapped letters":   {"replay:///x?seped=1", []string{"did you mean speed?"}},
		"nothing like it":   {"sim://?colour=red", []string{"unknown parameter colour;", "symbols, rate, seed, quotes"}},
		"no value":          {"sim://?rate", []string{"rate", "has no value"}},
		"twice":             {"sim://?rate=1&rate=2", []string{"rate is given twice"}},
		"bad escape":        {"sim://?rate=%zz", []string{"rate", "%zz"}},
		"bad name":          {"sim://?name=My%20Feed", []string{"name=My Feed", "lower-case"}},
		"name of alerts":    {"sim://?name=alert", []string{"name=alert", "own"}},
		"name of a file":    {"sim://?name=import-1", []string{"own"}},
		"long name":         {"sim://?name=" + strings.Repeat("x", 33), []string{"1 to 32"}},
		"bad venue":         {"sim://?venue=A:B", []string{"venue=A:B"}},
		"secret stays":      {"alpaca://AAPL?key=hunter2&kee=1", []string{"key=***", "kee"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := registry().Parse(c.url)
			if !errors.Is(err, feed.ErrURL) {
				t.Fatalf("got %v, want ErrURL", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q shows the secret", err)
			}
		})
	}
}

func TestParseAllNamesEachFeed(t *testing.T) {
	urls, err := registry().ParseAll([]string{
		"sim://?seed=1", "sim://?seed=2", "sim://?seed=3&venue=THREE", "replay:///a", "alpaca://A?name=sim-2", "sim://?seed=4",
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range urls {
		got = append(got, u.Name+" "+u.Venue)
	}
	want := "sim SIM, sim-3 SIM-3, sim-4 THREE, replay REPLAY, sim-2 SIM-2, sim-5 SIM-5"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	if _, err := registry().ParseAll([]string{"sim://?name=a", "replay:///x?name=a"}); err == nil ||
		!strings.Contains(err.Error(), "feed 2") {
		t.Errorf("two feeds of one name: got %v", err)
	}
}

func TestSecrets(t *testing.T) {
	t.Setenv("FEED_TEST_KEY", "from the environment")
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		"env:FEED_TEST_KEY": "from the environment", "file:" + path: "from a file", "plain": "plain",
	} {
		u, err := registry().Parse("alpaca://A?key=" + value)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := u.Secret("key"); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", value, got, err, want)
		}
		if shown := u.String(); strings.Contains(shown, "plain") {
			t.Errorf("%s shows the secret", shown)
		}
	}
	for _, value := range []string{"env:FEED_TEST_NOT_THERE", "file:" + path + ".none"} {
		u, err := registry().Parse("alpaca://A?key=" + value)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Secret("key"); !feed.IsPermanent(err) {
			t.Errorf("%s: got %v, want a permanent error", value, err)
		}
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"alpaca://A?key=k&secret=s&feed=iex": "alpaca://A?key=***&secret=***&feed=iex",
		"alpaca://A?key=env:K":               "alpaca://A?key=env:K",
		"nats://me:pw@host:4222/subject":     "nats://me:***@host:4222/subject",
		"nats://token@host/a@b":              "nats://***@host/a@b",
		"no url?api_token=x":                 "no url?api_token=***",
		"x://?%6bey=x":                       "x://?%6bey=***",
		"alpaca://A&key=k":                   "alpaca://A&key=***",

		"x://h?url=wss://me:pw@h/a&rest=https://h/?token=t":      "x://h?url=wss://me:***@h/a&rest=https://h/%3Ftoken=***",
		"x://h?url=wss://h/a":                                    "x://h?url=wss://h/a",
		"x://h?header=Authorization: Bearer abc":                 "x://h?header=Authorization:%20***",
		"x://h?header=Cookie:%20sid=1":                           "x://h?header=Cookie:%20***",
		"x://h?header=Authorization: Bearer {key}":               "x://h?header=Authorization: Bearer {key}",
		"x://h?header=Accept: text/csv":                          "x://h?header=Accept: text/csv",
		"x://h?query=room=1%26apikey=abc":                        "x://h?query=room=1%26apikey=***",
		"x://h?query=room=1%26apikey={key}":                      "x://h?query=room=1%26apikey={key}",
		`x://h?login={"user":"me","pin":"1"}&subscribe={"op":1}`: `x://h?login=***&subscribe={"op":1}`,
		`x://h?login={"k":"{key}"}&subscribe={"token":"t"}`:      `x://h?login={"k":"{key}"}&subscribe=***`,
		"": "",
	} {
		if got := feed.Mask(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestErrorsKeepSecrets looks at what is said of a URL that is refused: who mistypes the name of a secret has told the secret.
func TestErrorsKeepSecrets(t *testing.T) {
	u, err := registry().Parse("alpaca://A?kye=abcdef&feed=iex")
	if err == nil {
		err = u.Only("key", "feed")
	}
	if err == nil || strings.Contains(err.Error(), "abcdef") || !strings.Contains(err.Error(), "kye=***&feed=iex") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{
		"sim://?symbols=AAPL&rate=2/s", "replay:///a%20b.csv?map=time=ts,price=px", "nats://u:p@h/s?token=abc", "://", "a://?=&&==",
		"ws+json://h?key=%00", "x://?name=a&venue=b&name=c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_ = feed.Mask(s)
		u, err := feed.ParseURL(s)
		if err != nil {
			return
		}
		again, err := feed.ParseURL(u.String())
		if err != nil {
			t.Fatalf("%q was read, %q is refused: %v", s, u, err)
		}
		if again.Target != u.Target && !strings.Contains(u.String(), "***") || again.Name != u.Name || again.Venue != u.Venue || again.String() != u.String() {
			t.Errorf("%q: %+v is read again as %+v", s, u, again)
		}
	})
}
