package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tapedeck.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadPrecedence(t *testing.T) {
	if c, err := Load(write(t, "feeds: [\"replay:///a b.csv\"]\n"), nil, nil); err != nil || len(c.Feeds) != 1 {
		t.Errorf("a path with a space: got %q, %v", c.Feeds, err)
	}
	if c, err := Load("", []string{"TAPEDECK_FEEDS=sim://?seed=1 sim://?seed=2", "TAPEDECK_ROLES=feed,record"}, nil); err != nil || len(c.Feeds) != 2 || len(c.Roles) != 2 {
		t.Errorf("two feeds in the environment: got %q, %q, %v", c.Feeds, c.Roles, err)
	}
	path := write(t, "listen: 127.0.0.1:1\ndata: /file\nlog:\n  level: warn\nfeeds:\n  - sim://?rate=1/s\n  - sim://?rate=2/s&name=b\n")
	env := []string{"TAPEDECK_DATA=/env", "TAPEDECK_LISTEN=127.0.0.1:2", "TAPEDECK_LOG_FORMAT=json", "OTHER=x"}
	got, err := Load(path, env, map[string][]string{"listen": {"127.0.0.1:3"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.Listen, want.Data, want.LogLevel, want.LogFormat = "127.0.0.1:3", "/env", "warn", "json"
	want.Feeds = []string{"sim://?rate=1/s", "sim://?rate=2/s&name=b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration differs (-want +got):\n%s", diff)
	}
}

func TestLoadErrorsNameThePlace(t *testing.T) {
	for name, c := range map[string]struct {
		yaml      string
		env       string
		overrides map[string][]string
		want      []string
	}{
		"unknown key":         {yaml: "listen: 127.0.0.1:1\nlissten: x\n", want: []string{"tapedeck.yaml:2", "unknown key lissten", "did you mean listen?"}},
		"unknown nested key":  {yaml: "log:\n  lvel: info\n", want: []string{"tapedeck.yaml:2", "log.lvel", "did you mean log.level?"}},
		"bad value":           {yaml: "\nlog:\n  level: loud\n", want: []string{"tapedeck.yaml:3", "log.level", `"loud"`, "debug, info"}},
		"twice":               {yaml: "data: a\ndata: b\n", want: []string{"tapedeck.yaml:2", "data", "line 1"}},
		"list for one":        {yaml: "data: [a, b]\n", want: []string{"tapedeck.yaml:1", "data", "single value"}},
		"map for list":        {yaml: "feeds:\n  a: b\n", want: []string{"tapedeck.yaml:2", "feeds"}},
		"null":                {yaml: "data:\n", want: []string{"tapedeck.yaml:1", "data", "no value"}},
		"not a map":           {yaml: "- a\n", want: []string{"tapedeck.yaml:1", "keys and values"}},
		"scalar for section":  {yaml: "log: info\n", want: []string{"tapedeck.yaml:1", "under log"}},
		"broken yaml":         {yaml: "a: [\n", want: []string{"tapedeck.yaml", "line"}},
		"two documents":       {yaml: "data: a\n---\ndata: b\n", want: []string{"more than one document"}},
		"bad environment":     {env: "TAPEDECK_DRAIN_TIMEOUT=soon", want: []string{"TAPEDECK_DRAIN_TIMEOUT", `"soon"`}},
		"bad flag":            {overrides: map[string][]string{"log.format": {"xml"}}, want: []string{"flag for log.format", `"xml"`}},
		"not loopback":        {yaml: "listen: 0.0.0.0:80\n", want: []string{"0.0.0.0:80", "--insecure-http"}},
		"every interface":     {yaml: "listen: :80\n", want: []string{":80", "--insecure-http"}},
		"no port":             {yaml: "listen: localhost\n", want: []string{"localhost", "127.0.0.1:8000"}},
		"unknown role":        {yaml: "roles: feed,cook\n", want: []string{`"cook"`, "gateway"}},
		"bad size":            {yaml: "tape:\n  min_free: 5 parsecs\n", want: []string{"tapedeck.yaml:2", "tape.min_free", "512MiB"}},
		"bad count":           {yaml: "limits:\n  connections: 0\n", want: []string{"tapedeck.yaml:2", "limits.connections"}},
		"bad public url":      {yaml: "public_url: example.com\n", want: []string{"public_url", "example.com"}},
		"origin with a path":  {yaml: "origins: [https://charts.example.org/]\n", want: []string{"origins", "scheme and host only"}},
		"origin null":         {yaml: "origins: ['null']\n", want: []string{"origins"}},
		"negative deadline":   {yaml: "limits:\n  auth: -1s\n", want: []string{"tapedeck.yaml:2", "limits.auth"}},
		"port too large":      {yaml: "listen: 127.0.0.1:99999\n", want: []string{"127.0.0.1:99999"}},
		"empty feed":          {overrides: map[string][]string{"feeds": {""}}, want: []string{"feeds", "empty"}},
		"bad boolean":         {yaml: "insecure_http: perhaps\n", want: []string{"tapedeck.yaml:1", "perhaps"}},
		"size over the limit": {yaml: "tape: {min_free: 99999999999TiB}\n", want: []string{"tape.min_free"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, c.yaml), []string{c.env}, c.overrides)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line", err)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil, nil); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("missing file: got %v, want an error that names it", err)
	}
}

func TestPrintedConfigurationLoads(t *testing.T) {
	want := Defaults()
	want.Feeds = []string{"sim://?symbols=A,B&rate=1/s", "replay:///a b.csv"}
	want.Hosts = []string{"ticks.example.com"}
	want.MinFree = 512 << 20
	want.DrainTimeout = 3 * time.Second
	var buf bytes.Buffer
	if err := want.Print(&buf, func(s string) string { return strings.ReplaceAll(s, " ", "%20") }); err != nil {
		t.Fatal(err)
	}
	got, err := Load(write(t, buf.String()), nil, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, &buf)
	}
	want.Feeds[1] = "replay:///a%20b.csv"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration differs (-want +got):\n%s\n%s", diff, &buf)
	}
}

func FuzzLoadYAML(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nfeeds: [a]\n")
	f.Add("log: {level: info}\n")
	f.Add("a: &x [*x]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := Defaults()
		if err := c.applyYAML("f.yaml", []byte(text)); err == nil {
			var buf bytes.Buffer
			if err := c.Print(&buf, func(s string) string { return s }); err != nil {
				t.Fatal(err)
			}
			again := Defaults()
			if err := again.applyYAML("printed", buf.Bytes()); err != nil {
				t.Fatalf("%v in\n%s", err, &buf)
			}
		}
	})
}

func TestRulesAndCalendarsOfTheConfiguration(t *testing.T) {
	c := Defaults()
	c.Rules = []string{"sip", "replay=all"}
	rules, err := loadRules(&c)
	if err != nil {
		t.Fatal(err)
	}
	for venue, want := range map[string]string{"REPLAY": "all", "NYSE": "sip"} {
		if got := rules(venue).Name(); got != want {
			t.Errorf("rules of %s: got %s, want %s", venue, got, want)
		}
	}
	if rules, err := loadRules(new(Config)); err != nil || rules("NYSE") != nil {
		t.Errorf("without configuration: got a rule set or %v", err)
	}

	c.Calendars = write(t, "calendar us-equity\nvenues REPLAY\n")
	calendars, err := loadCalendars(&c)
	if err != nil {
		t.Fatal(err)
	}
	if got := calendars.For("REPLAY").Name(); got != "us-equity" {
		t.Errorf("calendar of REPLAY: got %s", got)
	}

	for _, bad := range []Config{
		{Rules: []string{"sip", "X=nonsense"}},
		{Calendars: write(t, "closed whenever\n")},
		{Calendars: "nowhere.txt"},
	} {
		c := Defaults()
		c.Rules, c.Calendars = bad.Rules, bad.Calendars
		_, err := New(Options{Config: c})
		if err == nil || !strings.Contains(err.Error(), "bars.") {
			t.Errorf("%v: got %v, want an error that names the key", bad, err)
		}
	}
}
