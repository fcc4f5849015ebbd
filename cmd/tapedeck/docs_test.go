package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// documents returns the documents of the repository by their path from its root, with the decisions or without.
func documents(t *testing.T, decisions bool) map[string]string {
	t.Helper()
	docs := make(map[string]string)
	patterns := []string{"*.md", "docs/*.md", "web/*.md"}
	if decisions {
		patterns = append(patterns, "docs/adr/*.md")
	}
	root := filepath.Join("..", "..")
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			docs[filepath.ToSlash(name)] = string(text)
		}
	}
	return docs
}

// documented returns the commands that a document shows, each once: lines of their own (indented or in a fence) and the ends of list
// items, without their prompts and comments.
func documented(text string) []string {
	text = regexp.MustCompile(`\\\n *`).ReplaceAllString(text, "")
	var commands []string
	for _, match := range regexp.MustCompile(`(?m)^ *(?:\$ )?((?:curl|sqlite3|make run|(?:zcat [^ ]+ \| )?(?:bin/)?tapedeck)\b.*?)(?:  +# .*)?$`).FindAllStringSubmatch(text, -1) {
		commands = append(commands, match[1])
	}
	for _, match := range regexp.MustCompile("(?m)^- .* `((?:curl|bin/tapedeck) .*)`$").FindAllStringSubmatch(text, -1) {
		commands = append(commands, match[1])
	}
	slices.Sort(commands)
	return slices.Compact(commands)
}

// TestDocumentedCommands runs every command that the documents show, to the letter but for addresses and folders. A server is only asked
// whether it would run so.
func TestDocumentedCommands(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl here")
	}
	dir, data := t.TempDir(), t.TempDir()
	server := startServer(t, "--data", data, "--feed", "sim://?symbols=AAPL,MSFT&rate=200/s&seed=1", "--log-level", "warn")
	server.ready(t)
	server.until(t, "/history?limit=3&symbol=SIM:AAPL", func(status int, body []byte) bool { return status == 200 && strings.Count(string(body), `"id"`) == 3 })
	server.until(t, fmt.Sprintf("/v2/stocks/snapshots?symbols=SIM:AAPL&at=%d", time.Now().Unix()+1), func(status int, _ []byte) bool { return status == 200 })

	writeExamples(t, dir)
	sh := shell(func(ctx context.Context, command string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Dir = dir
		path := filepath.Dir(program(t)) + string(os.PathListSeparator) + os.Getenv("PATH")
		cmd.Env = append(os.Environ(), "PATH="+path, "TAPEDECK_DATA="+data, "XDG_CONFIG_HOME="+dir, "S3_KEY=example", "S3_SECRET=example")
		return cmd
	})
	// What the examples of exports name.
	for symbol, file := range map[string]string{"NYSE:SPY": "SPY.csv", "NYSE:QQQ": "QQQ.csv", "COINBASE:BTC-USD": "coins.csv"} {
		sh.answers(t, "tapedeck import --symbol "+symbol+" "+file)
	}

	here := strings.NewReplacer("http://127.0.0.1:8000/", server.url, "~/.local/share/tapedeck", data, "bin/tapedeck ", "tapedeck ")
	kinds := make(map[string]int)
	docs := documents(t, false)
	delete(docs, "docs/json-feeds.md") // TestJSONFeeds runs these, with the sources that they read
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		for _, command := range documented(docs[name]) {
			run := here.Replace(command)
			kind := kindOf(run)
			kinds[kind]++
			t.Run(name+" "+command, func(t *testing.T) {
				if strings.HasPrefix(kind, "curl") && run == command {
					t.Fatal("a command without the server's usual address")
				}
				sh.does(t, kind, run, server.url)
			})
		}
	}
	for kind, least := range map[string]int{
		"curl": 10, "curl -N": 3, "sqlite3": 2, "make run": 2,
		"tapedeck serve": 4, "tapedeck import": 3, "tapedeck export": 3, "tapedeck play": 2, "tapedeck tail": 1,
	} {
		if kinds[kind] < least {
			t.Errorf("found %d commands with %s, want %d or more: this test has lost sight of them", kinds[kind], kind, least)
		}
	}
	server.stop(t)
}

// kindOf returns what decides how a command is run: its program, and of ours the subcommand.
func kindOf(command string) string {
	if _, of, ok := strings.Cut(command, "| tapedeck "); ok {
		command = "tapedeck " + of
	}
	words := strings.Fields(command)
	switch {
	case words[0] == "curl" && slices.Contains(words, "-N"):
		return "curl -N"
	case len(words) > 1 && (words[0] == "tapedeck" || words[0] == "make"):
		return words[0] + " " + words[1]
	}
	return words[0]
}

// A shell makes a command line ready to run.
type shell func(ctx context.Context, command string) *exec.Cmd

// does runs a command as far as it can be run here.
func (sh shell) does(t *testing.T, kind, command, url string) {
	t.Helper()
	words := strings.Fields(command)
	for i, word := range words {
		if i == 0 || words[i-1] == "|" {
			if _, err := exec.LookPath(word); err != nil && word != "tapedeck" {
				t.Skipf("there is no %s here", word)
			}
		}
	}
	// A line that speaks of a trade of this symbol.
	trade := func(line string) bool { return strings.Contains(line, "SIM:AAPL") }
	switch kind {
	case "curl -N":
		if strings.Contains(command, "/sse?") {
			// A trade, and the place behind it.
			seen := false
			trade = func(line string) bool {
				seen = seen || strings.HasPrefix(line, `data: [{"T":"t","S":"SIM:AAPL",`)
				return seen && strings.HasPrefix(line, "id: ")
			}
		}
		sh.shows(t, command, trade)
	case "tapedeck tail", "tapedeck play":
		sh.shows(t, strings.Replace(command, kind, kind+" --url "+url, 1), trade)
	case "tapedeck alert":
		sh.answers(t, command+" --url "+url)
	case "tapedeck serve":
		sh.answers(t, command+" --print-config")
	case "make run":
		if arguments, ok := strings.CutPrefix(command, `make run ARGS="`); ok {
			sh.answers(t, "tapedeck serve "+strings.TrimSuffix(arguments, `"`)+" --print-config")
		}
	case "sqlite3":
		sh.answers(t, strings.ReplaceAll(command, "interval = '1m'", "interval = '1s'")) // no minute has passed yet
	default:
		sh.answers(t, command)
	}
}

// writeExamples makes the files that the documents import.
func writeExamples(t *testing.T, dir string) {
	t.Helper()
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"AAPL.csv", "SPY.csv", "QQQ.csv", "coins.csv"} {
		write(name, fmt.Appendf(nil, "time,price,size\n2026-11-02T15:00:00Z,%d.42,100\n2026-11-02T15:00:01Z,%d.43,50\n", 187+i, 187+i))
	}
	write("rules.yaml", []byte("{id: test, name: two per cent, symbols: [SIM:AAPL], when: abs(change(\"10s\")) >= 2}\n"))
	write("spx.csv", []byte(`"Date","Price","Open","High","Low","Vol.","Change %"
"01/22/2025","6,086.37","6,081.39","6,100.81","6,076.13","","0.61%"
"01/21/2025","6,049.24","6,014.12","6,051.51","6,006.88","","0.88%"
"01/20/2025","5,996.66","5,995.40","6,014.96","5,978.44","","1.00%"
`))

	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	if _, err := io.WriteString(gz, "time,price\n2026-11-02 15:00:00,20.1\n2026-11-02 15:00:01,20.2\n"); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	write("ticks.gz", packed.Bytes())

	packed.Reset()
	z := zip.NewWriter(&packed)
	f, err := z.Create("BTCUSDT-trades-2024-01.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "1,42313.90,0.002,84.6278,1704067200027,true\n2,42313.91,0.003,126.94173,1704067200028,false\n"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write("BTCUSDT-trades-2024-01.zip", packed.Bytes())
}

// answers runs a command that ends.
func (sh shell) answers(t *testing.T, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := sh(ctx, command).CombinedOutput()
	if err != nil || len(out) == 0 || strings.Contains(string(out), `"about:blank"`) {
		t.Errorf("%s: %v, %.500s", command, err, out)
	}
}

// shows runs a command that goes on for ever, until it has shown a line that is good.
func (sh shell) shows(t *testing.T, command string, good func(line string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := sh(ctx, "exec "+command)
	cmd.Stderr = io.Discard // its progress
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, seen := bufio.NewScanner(stdout), ""
	for lines.Scan() {
		seen += lines.Text() + "\n"
		if good(lines.Text()) {
			cancel()
			_ = cmd.Wait() // it was ended by us
			return
		}
	}
	t.Errorf("%s ended with %v before what was waited for came:\n%.2000s", command, cmd.Wait(), seen)
}

// TestDocumentLinks follows every link of the documents that stays in the repository, to the heading if it names one.
func TestDocumentLinks(t *testing.T) {
	docs := documents(t, true)
	headings := make(map[string]map[string]bool)
	for name, text := range docs {
		headings[name] = anchors(text)
	}
	found := 0
	for name, text := range docs {
		for _, match := range regexp.MustCompile(`\]\(([^()\s]+)\)`).FindAllStringSubmatch(withoutFences(text), -1) {
			target := match[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			found++
			file, anchor, _ := strings.Cut(target, "#")
			path := name
			if file != "" {
				path = filepath.ToSlash(filepath.Join(filepath.Dir(filepath.FromSlash(name)), filepath.FromSlash(file)))
			}
			if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(path))); err != nil {
				t.Errorf("%s links to %s: %v", name, target, err)
			}
			if anchor != "" && headings[path] != nil && !headings[path][anchor] {
				t.Errorf("%s links to %s: there is no such heading", name, target)
			}
		}
	}
	if found < 60 {
		t.Errorf("found %d links: this test has lost sight of them", found)
	}
}

// anchors returns what links call the headings of a document: small letters, digits, hyphens for spaces, and a number when it is there twice.
func anchors(text string) map[string]bool {
	all, times := make(map[string]bool), make(map[string]int)
	for _, match := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(withoutFences(text), -1) {
		anchor := strings.ReplaceAll(strings.ToLower(match[1]), " ", "-")
		anchor = regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(anchor, "")
		if n := times[anchor]; n > 0 {
			all[fmt.Sprintf("%s-%d", anchor, n)] = true
		} else {
			all[anchor] = true
		}
		times[anchor]++
	}
	return all
}

// withoutFences leaves out what is shown as it is.
func withoutFences(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
}
