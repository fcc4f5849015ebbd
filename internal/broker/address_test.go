package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/broker"
)

func TestParseAddress(t *testing.T) {
	for target, want := range map[string]broker.Address{
		"h/topic":                     {Hosts: []string{"h:1"}, Path: "topic"},
		"a:9,b,[::1]:7,[::2]/x/y":     {Hosts: []string{"a:9", "b:1", "[::1]:7", "[::2]:1"}, Path: "x/y"},
		"me:p@ss:word@h:2/topic":      {User: "me", Password: "p@ss:word", Hosts: []string{"h:2"}, Path: "topic"},
		"token@h/topic":               {User: "token", Hosts: []string{"h:1"}, Path: "topic"},
		"127.0.0.1:4222/ticks.>":      {Hosts: []string{"127.0.0.1:4222"}, Path: "ticks.>"},
		"127.0.0.1:1883/a/+/b@c/d/#1": {Hosts: []string{"127.0.0.1:1883"}, Path: "a/+/b@c/d/#1"},
	} {
		got, err := broker.ParseAddress(target, "1")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", target, err, diff)
		}
	}
	for _, target := range []string{"", "/topic", ":9092/x", "h:port/x", "h:70000/x", "me:hunter2@/x", "::1/x"} {
		_, err := broker.ParseAddress(target, "1")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", target, err)
		}
	}
}

func TestHide(t *testing.T) {
	inner := errors.New(`dial redis://me:p%40ss%2Fw@h: "p@ss/w" is wrong`)
	err := broker.Hide(fmt.Errorf("connect: %w", inner), "p@ss/w", "")
	if got, want := err.Error(), `connect: dial redis://me:***@h: "***" is wrong`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !errors.Is(err, inner) {
		t.Error("the chain is cut")
	}
	if broker.Hide(nil, "x") != nil {
		t.Error("no error has become one")
	}
}

// FuzzAddress reads any target: a password never is in an error.
func FuzzAddress(f *testing.F) {
	f.Add("h:9092,g/topic")
	f.Add("[::1]:x/y")
	f.Fuzz(func(t *testing.T, rest string) {
		_, err := broker.ParseAddress("me:hunter2hunter2@"+rest, "1")
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Error(err)
		}
	})
}

func TestEscapeLevel(t *testing.T) {
	levels, err := broker.ParseLevels("{2}", ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"BRK.B", "BTC-USD", "A*>%", "BTC/USD"} {
		escaped := broker.EscapeLevel(name)
		if strings.ContainsAny(escaped, ".*>") {
			t.Errorf("%s is written as %s", name, escaped)
		}
		if got := levels.Name(&broker.Message{Topic: "ticks." + escaped}); got != name {
			t.Errorf("%s is read as %s", escaped, got)
		}
	}
}
