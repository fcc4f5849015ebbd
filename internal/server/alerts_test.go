package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// ask sends a request and decodes its answer into v, unless that is nil.
func ask(t *testing.T, method, address, body string, v any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if v != nil {
		if err := json.NewDecoder(response.Body).Decode(v); err != nil {
			t.Errorf("%s %s: %v", method, address, err)
		}
	}
	return response.StatusCode
}

// TestAlertsAreDamaged starts a server whose file of alerts is none: all but alerts runs, and /readyz says why not.
func TestAlertsAreDamaged(t *testing.T) {
	_, url := run(t, func(c *Config) {
		c.Feeds = []string{"sim://"}
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.Data, "alerts.db"), bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	var ready struct {
		Parts map[string]struct {
			Ready  bool
			Reason string
		}
	}
	if code := ask(t, http.MethodGet, url+"readyz", "", &ready); code != 503 || !strings.Contains(ready.Parts["alert"].Reason, "alerts.db") || !ready.Parts["tape"].Ready {
		t.Errorf("got %d %+v", code, ready)
	}
	if code := ask(t, http.MethodGet, url+"history", "", nil); code != 200 {
		t.Errorf("got %d", code)
	}
}

// TestTutorialRule plays a file with a jump of three per cent through a server whose rule is the tutorial's: one alert, on the tick of the jump, on
// the page's stream and in what was fired.
func TestTutorialRule(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jump.csv")
	text := "timestamp,price\n"
	at := time.Date(2024, 3, 1, 15, 0, 0, 0, time.UTC)
	for i := range 300 {
		price := 100 + float64(i%5)/100
		if i >= 200 {
			price += 3.15
		}
		text += fmt.Sprintf("%s,%.2f\n", at.Add(time.Duration(i)*time.Second).Format(time.RFC3339), price)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, url := run(t, func(c *Config) {
		c.Feeds = []string{"replay://" + file + "?symbol=JUMP&speed=200"}
		c.Roles = []string{RoleFeed, RoleRecord, RoleAlert, RoleGateway}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	//nolint:bodyclose // of a handshake that succeeds there is none
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"ws/prices", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	if code := ask(t, http.MethodPut, url+"v1/alerts/tutorial",
		`{"name":"2% within 10 seconds","symbols":["*"],"when":"abs(change(\"10s\")) >= 2","text":"{{abs(change(\"10s\"))}}% move!"}`, nil); code != 200 {
		t.Fatalf("got %d", code)
	}
	var alerts []string
	for last := false; !last; {
		_, data, err := ws.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Timestamp, Alert string
			Price            json.Number
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		if m.Alert != "" {
			alerts = append(alerts, m.Timestamp+" "+m.Price.String()+" "+m.Alert)
		}
		last = strings.HasPrefix(m.Timestamp, "2024-03-01T15:04:59")
	}
	want := "2024-03-01T15:03:20Z 103.15 3.15% move!" // ten seconds before, at 15:03:10, the price was 100.00
	if len(alerts) != 1 || alerts[0] != want {
		t.Errorf("got %q, want %q", alerts, want)
	}
	var history struct {
		Alerts []struct {
			ID, Rule, Text string
			N              int64
		}
	}
	if code := ask(t, http.MethodGet, url+"v1/alerts/history", "", &history); code != 200 || len(history.Alerts) != 1 || history.Alerts[0].ID != "tutorial:REPLAY:JUMP:201" {
		t.Errorf("got %d %+v", code, history)
	}
	for path, code := range map[string]int{"v1/alerts/nosuch": 404, "v1/alerts/tutorial": 200} {
		if got := ask(t, http.MethodGet, url+path, "", nil); got != code {
			t.Errorf("%s: got %d", path, got)
		}
	}
	for _, body := range []string{`{"name":"x","symbols":["*"],"when":"prise > 1"}`, `{"name":"x","symbols":["*"],"when":"price > 1","colour":"red"}`, `[]`} {
		var p struct{ Detail string }
		if got := ask(t, http.MethodPost, url+"v1/alerts", body, &p); got != 400 || p.Detail == "" || strings.Count(p.Detail, "bad rule") > 1 {
			t.Errorf("%s: got %d %s", body, got, p.Detail)
		}
	}
}
