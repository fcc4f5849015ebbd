package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sound is a small module that keeps to the plan, and uses each liberty that the plan gives.
func sound() map[string]string {
	return map[string]string{
		"internal/market/doc.go":            "// Package market is a word.\npackage market\nimport _ \"strings\"",
		"internal/market/tick.go":           "package market",
		"internal/market/tick_test.go":      "package market_test\nimport (_ \"m/internal/market\"; _ \"github.com/google/go-cmp/cmp\")",
		"internal/tape/tape.go":             "// Package tape is a word.\npackage tape\nimport _ \"m/internal/market\"",
		"internal/tape/tape_test.go":        "// Comments of external tests do not count.\npackage tape_test\nimport _ \"m/internal/tape/tapetest\"",
		"internal/tape/tapetest/suite.go":   "// Package tapetest is a word.\npackage tapetest\nimport _ \"m/internal/tape\"",
		"internal/feed/feed.go":             "// Package feed is a word.\npackage feed\nimport _ \"m/internal/tape\"",
		"internal/feed/sim/sim.go":          "// Package sim is a word.\npackage sim\nimport _ \"m/internal/feed\"",
		"internal/feed/feedtest/venue.go":   "// Package feedtest is a word.\npackage feedtest\nimport _ \"m/internal/feed\"",
		"internal/feed/sim/sim_test.go":     "package sim\nimport _ \"m/internal/feed/feedtest\"",
		"internal/store/store.go":           "// Package store is a word.\npackage store\nimport _ \"example.com/sql\"",
		"internal/store/store_test.go":      "package store\nimport _ \"m/internal/tape/tapetest\"",
		"internal/store/testdata/x/x.go":    "package util",
		"internal/server/server.go":         "// Package server is a word.\npackage server\nimport (_ \"m/internal/feed/sim\"; _ \"m/internal/store\"; _ \"m/web\")",
		"cmd/tapedeck/main.go":              "// Command tapedeck is a word.\npackage main\nimport _ \"m/internal/server\"",
		"bench/fanout/main.go":              "// Command fanout is a word.\npackage main\nimport _ \"m/internal/tape/tapetest\"",
		"web/web.go":                        "// Package web is a word.\npackage web",
		"web/node_modules/flat/go/util.go":  "package util",
		"internal/natstape/.hidden/util.go": "package util",
		"tools/go.mod":                      "module m/tools",
		"tools/tools.go":                    "package tools",
	}
}

func TestCheckAcceptsWhatThePlanAllows(t *testing.T) {
	if problems := check(t, tree(t, sound())); len(problems) > 0 {
		t.Errorf("got %q, want none", problems)
	}
}

func TestCheckReportsEachKindOfViolation(t *testing.T) {
	tests := []struct {
		name, file, source, want string
	}{
		{
			"own floor", "internal/feed/store.go", "package feed\nimport _ \"m/internal/store\"",
			"internal/feed (floor 3) imports internal/store (floor 3)",
		},
		{
			"higher floor", "internal/tape/feed.go", "package tape\nimport _ \"m/internal/feed\"",
			"internal/tape (floor 1) imports internal/feed (floor 3)",
		},
		{
			"higher floor from a test", "internal/tape/feed_test.go", "package tape_test\nimport _ \"m/internal/feed\"",
			"internal/tape (floor 1) imports internal/feed (floor 3)",
		},
		{
			"a parent on its adapter", "internal/feed/all.go", "package feed\nimport _ \"m/internal/feed/sim\"",
			"internal/feed (floor 3) imports internal/feed/sim (floor 3)",
		},
		{
			"an adapter on its neighbour", "internal/feed/replay/replay.go",
			"// Package replay is a word.\npackage replay\nimport _ \"m/internal/feed/sim\"",
			"internal/feed/replay (floor 3) imports internal/feed/sim (floor 3)",
		},
		{
			"the page on the program", "web/api.go", "package web\nimport _ \"m/internal/server\"",
			"web (floor 0) imports internal/server (floor 4)",
		},
		{
			"a test kit in the program", "internal/server/kit.go", "package server\nimport _ \"m/internal/tape/tapetest\"",
			"internal/server imports internal/tape/tapetest, which is for tests",
		},
		{
			"a neighbour's test kit in the program", "internal/store/kit.go", "package store\nimport _ \"m/internal/feed/feedtest\"",
			"internal/store imports internal/feed/feedtest, which is for tests",
		},
		{
			"no floor", "internal/clock/clock.go", "// Package clock is a word.\npackage clock",
			"internal/clock is on no floor: place it in internal/arch, and in docs/architecture.md",
		},
		{
			"two package comments", "internal/market/more.go", "// Package market is a word again.\npackage market",
			"internal/market has 2 package comments, want 1",
		},
		{
			"no package comment", "internal/candle/candle.go", "package candle",
			"internal/candle has 0 package comments, want 1",
		},
		{
			"vague name", "internal/venue/util/util.go", "// Package util is a drawer.\npackage util",
			"internal/venue/util: the name util does not say what it gives",
		},
		{
			"third party on floor 0", "internal/market/dep.go", "package market\nimport _ \"github.com/google/go-cmp/cmp\"",
			"internal/market imports github.com/google/go-cmp/cmp: floor 0 needs only the standard library",
		},
		{
			"third party in a test of floor 0", "internal/market/dep_test.go", "package market\nimport _ \"example.com/mock\"",
			"internal/market imports example.com/mock: floor 0 needs only the standard library",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := sound()
			if _, ok := files[test.file]; ok {
				t.Fatalf("%s hides a file of the sound tree", test.file)
			}
			files[test.file] = test.source
			if diff := cmp.Diff([]string{test.want}, check(t, tree(t, files))); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// tree writes the files below a new folder with a go.mod and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	top := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(top, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.TrimSpace(text)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module m\n\ngo 1.26")
	for name, text := range files {
		write(name, text)
	}
	return top
}
