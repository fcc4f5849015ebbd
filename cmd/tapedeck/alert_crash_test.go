package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tapedeck/internal/alert"
)

// inbox is a webhook that knows what came to it.
type inbox struct {
	*httptest.Server
	mu    sync.Mutex
	texts map[string]string // by id
	again int               // how often an id came that was there already
}

func newInbox(t *testing.T) *inbox {
	b := &inbox{texts: map[string]string{}}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m alert.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			return // the server was killed while it posted
		}
		text := fmt.Sprint(m.Symbol, " ", m.Seq, " ", m.Time, " ", m.Price, " ", m.Text)
		b.mu.Lock()
		defer b.mu.Unlock()
		if before, twice := b.texts[m.ID]; twice {
			b.again++
			if before != text {
				t.Errorf("%s came as %s and as %s", m.ID, before, text)
			}
		}
		b.texts[m.ID] = text
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(b.Close)
	return b
}

// has reports whether all of the alerts came.
func (b *inbox) has(list []firedAlert) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !slices.ContainsFunc(list, func(f firedAlert) bool { return b.texts[f.ID] == "" })
}

// firedAlert is an alert as /v1/alerts/history shows it.
type firedAlert struct {
	N      int64
	ID     string
	Symbol string
	Seq    uint64
}

// fired returns all that was fired of a symbol, in its order.
func (p *process) fired(t *testing.T, symbol string) (all []firedAlert) {
	t.Helper()
	for before := int64(1 << 62); before > 0; {
		_, _, body, err := p.get(t.Context(), fmt.Sprintf("/v1/alerts/history?limit=1000&symbol=%s&before=%d", symbol, before))
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Alerts []firedAlert
			Before int64
		}
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Alerts...)
		before = page.Before
	}
	slices.Reverse(all)
	return all
}

// TestKillInAStormOfAlerts kills a server fifty times while a rule fires on every trade: each trade's alert is in what was fired once, and
// comes to the webhook at least once, always as the same.
func TestKillInAStormOfAlerts(t *testing.T) {
	lives := 50
	if testing.Short() {
		lives = 5
	}
	hook := newInbox(t)
	folder := t.TempDir()
	config, rules, data := filepath.Join(folder, "tapedeck.yaml"), filepath.Join(folder, "rules.yaml"), filepath.Join(folder, "data")
	for name, text := range map[string]string{
		config: "alerts:\n  webhook_networks: [127.0.0.0/8]\n",
		rules: "id: every\nname: every trade\nsymbols: [\"*\"]\nwhen: price > 0\nuntil: price > 0\ntext: '{{price}} {{change(\"10s\")}} {{ema(5, \"1s\")}}'\n" +
			"webhooks: [" + hook.URL + "/hook]\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"--config", config, "--data", data, "--log-level", "error"}
	for life := range lives {
		p := startServer(t, append(args, "--feed", "sim://?symbols=A,B&rate=50/s")...)
		if life == 0 {
			if out, err := exec.CommandContext(t.Context(), program(t), "alert", "put", rules, "--url", p.url).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		first := ""
		p.until(t, "/v1/alerts/history?limit=1", func(status int, body []byte) bool { // until this life has fired
			if status == http.StatusOK && first == "" {
				first = string(body)
			}
			return first != "" && string(body) != first
		})
		p.kill(t)
	}
	p := startServer(t, append(args, "--feed", "sim://?symbols=IDLE&rate=0.1/s")...)
	p.ready(t)
	for _, symbol := range []string{"SIM:A", "SIM:B"} {
		trades := history(t, p, "trades", symbol)
		newest := trades[len(trades)-1].Seq
		p.until(t, "/v1/alerts/history?limit=1&symbol="+symbol, func(_ int, body []byte) bool {
			return strings.Contains(string(body), fmt.Sprintf(`"seq":%d,`, newest))
		})
		all := p.fired(t, symbol)
		for i, f := range all {
			if want := all[0].Seq + uint64(i); f.Seq != want || f.ID != fmt.Sprintf("every:%s:%d", symbol, want) {
				t.Fatalf("alert %d of %s: got %+v, want that of trade %d", i, symbol, f, want)
			}
		}
		p.until(t, "/livez", func(int, []byte) bool { return hook.has(all) })
		t.Logf("%s: %d alerts of %d trades", symbol, len(all), len(trades))
	}
	t.Logf("%d messages came again", hook.again)
	p.stop(t)
}
