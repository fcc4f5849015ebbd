package gateway

import (
	"bufio"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// fenced returns what stands in the fenced blocks of docs/protocol.md, in their order.
func fenced(t *testing.T) []string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, match := range regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```$").FindAllSubmatch(doc, -1) {
		blocks = append(blocks, string(match[1]))
	}
	if len(blocks) < 5 {
		t.Fatalf("found %d blocks in docs/protocol.md: this test has lost sight of them", len(blocks))
	}
	return blocks
}

// startingWith returns the one block that begins with a text.
func startingWith(t *testing.T, blocks []string, prefix string) string {
	t.Helper()
	var found []string
	for _, b := range blocks {
		if strings.HasPrefix(b, prefix) {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks of docs/protocol.md begin with %q, want 1", len(found), prefix)
	}
	return found[0]
}

// TestDocumentedEvents holds the exchanges that docs/protocol.md shows of Server-Sent Events to the letter.
func TestDocumentedEvents(t *testing.T) {
	blocks := fenced(t)
	command := startingWith(t, blocks, "curl -N ")
	path := regexp.MustCompile(`^curl -N 'http://127\.0\.0\.1:8000(/[^']*)'\n$`).FindStringSubmatch(command)
	if path == nil {
		t.Fatalf("docs/protocol.md shows the command %q, which this test does not understand", command)
	}
	m := newMemTape()
	earlier := market.Trade{Symbol: "SIM:AAPL", Seq: 1041, Event: t0, Received: t0, Price: dec("187.41"), Size: dec("100"), Side: market.SideSell}
	m.Put("sim", earlier.Entry())
	b := serve(t, m, nil)

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := b.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	when := t0 + 250_000_000
	m.Put("sim", market.Trade{
		Symbol: "SIM:AAPL", Seq: 1042, Event: when, Received: when, Price: dec("187.42"), Size: dec("100"), Side: market.SideBuy,
	}.Entry())
	want := startingWith(t, blocks, "retry: ")
	lines, got := bufio.NewReader(response.Body), ""
	for range strings.Count(want, "\n") {
		line, err := lines.ReadString('\n')
		if got += line; err != nil {
			t.Errorf("the stream ends: %v", err)
			break
		}
	}
	if got != want {
		t.Errorf("the server says\n%s and docs/protocol.md\n%s", got, want)
	}

	want = startingWith(t, blocks, `{"type":"about:blank","title":"Requested Range`)
	status, _, body := b.get(path[1], "Last-Event-ID", tape.Cursor{Epoch: tape.Epoch{9}, Position: 1}.String())
	if status != http.StatusRequestedRangeNotSatisfiable || body != want {
		t.Errorf("the server says %d\n%s and docs/protocol.md\n%s", status, body, want)
	}
}

// TestDocumentedCompression holds the handshake that docs/protocol.md shows.
func TestDocumentedCompression(t *testing.T) {
	block := startingWith(t, fenced(t), "client  Sec-WebSocket-Extensions: ")
	lines := strings.Split(strings.TrimSpace(block), "\n")
	offer := strings.TrimPrefix(lines[0], "client  Sec-WebSocket-Extensions: ")
	want := strings.TrimPrefix(lines[1], "server  Sec-WebSocket-Extensions: ")
	b := serve(t, newMemTape(), nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/v2/tape", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		"Sec-WebSocket-Extensions": offer,
	} {
		r.Header.Set(name, value)
	}
	response, err := b.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if got := response.Header.Get("Sec-WebSocket-Extensions"); response.StatusCode != http.StatusSwitchingProtocols || got != want {
		t.Errorf("got %d %q, docs/protocol.md has %q", response.StatusCode, got, want)
	}
}
