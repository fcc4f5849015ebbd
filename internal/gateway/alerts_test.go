package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// oneRule is a set of rules that never changes.
type oneRule struct{}

const upRule = `{"id":"up","name":"up","symbols":["*"],"when":"price > 100","for":"10s"}`

func (oneRule) Rules() ([]json.RawMessage, error) { return []json.RawMessage{[]byte(upRule)}, nil }

func (oneRule) Rule(id string) (json.RawMessage, error) {
	if id != "up" {
		return nil, fmt.Errorf("%w: %s", ErrNoAlert, id)
	}
	return []byte(upRule), nil
}

func (oneRule) PutRule(_ context.Context, id string, rule []byte) (json.RawMessage, error) {
	if !json.Valid(rule) {
		return nil, fmt.Errorf("%w: not JSON", ErrAlert)
	}
	if id == "broken" {
		return nil, errors.New("the disk is on fire")
	}
	return rule, nil
}

func (oneRule) DeleteRule(_ context.Context, id string) error {
	_, err := oneRule{}.Rule(id)
	return err
}

func (oneRule) Fired(_ context.Context, q AlertQuery) ([]FiredAlert, error) {
	if q.Before == 7 {
		return nil, nil
	}
	return []FiredAlert{{
		N: 7, ID: "up:SIM:AAPL:9", Rule: "up", Name: "up", Symbol: "SIM:AAPL", Seq: 9, Time: t0.String(), Price: dec("187.40"), Text: "2.13% move!", Severity: "warning",
	}}, nil
}

func (oneRule) Acknowledge(_ context.Context, n int64) error {
	if n != 7 {
		return fmt.Errorf("%w: alert %d", ErrNoAlert, n)
	}
	return nil
}

func exchange(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestAlertRoutes walks over what can be asked of rules.
func TestAlertRoutes(t *testing.T) {
	b := serve(t, filled(), func(o *Options) { o.Alerts = oneRule{} })
	for _, ask := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/v1/alerts", "", 200, `{"rules":[` + upRule + `]}`},
		{"GET", "/v1/alerts/up", "", 200, upRule},
		{"GET", "/v1/alerts/down", "", 404, `"detail":"not there: down"`},
		{"POST", "/v1/alerts", upRule, 201, upRule},
		{"POST", "/v1/alerts", "{", 400, `"parameter":"body"`},
		{"PUT", "/v1/alerts/up", upRule, 200, upRule},
		{"PUT", "/v1/alerts/broken", upRule, 500, `its log says why`},
		{"PUT", "/v1/alerts/up", `"` + strings.Repeat("x", 70_000) + `"`, 413, ``},
		{"DELETE", "/v1/alerts/up", "", 204, ``},
		{"DELETE", "/v1/alerts/down", "", 404, ``},
		{"DELETE", "/v1/alerts", "", 405, `not served here`},
		{"GET", "/v1/alerts/history?limit=1", "", 200, `{"alerts":[{"n":7,"id":"up:SIM:AAPL:9","rule":"up","name":"up","symbol":"SIM:AAPL","seq":9,"t":"2026-11-23T14:30:00Z","price":187.40,` +
			`"text":"2.13% move!","severity":"warning"}],"before":7}`},
		{"GET", "/v1/alerts/history?before=7", "", 200, `{"alerts":[]}`},
		{"GET", "/v1/alerts/history?before=x", "", 400, `"parameter":"before"`},
		{"GET", "/v1/alerts/history?symbol=NOSUCH", "", 404, ``},
		{"POST", "/v1/alerts/history/7/acknowledge", "", 204, ``},
		{"POST", "/v1/alerts/history/8/acknowledge", "", 404, ``},
		{"POST", "/v1/alerts/history/x/acknowledge", "", 400, ``},
		{"GET", "/v1/alerts/history/7/acknowledge", "", 405, ``},
	} {
		request, err := http.NewRequestWithContext(t.Context(), ask.method, b.url+ask.path, strings.NewReader(ask.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		code, body := exchange(t, request)
		if code != ask.code || !strings.Contains(body, ask.want) {
			t.Errorf("%s %s: got %d %s", ask.method, ask.path, code, body)
		}
	}
	// A page of another origin, a form, and who comes through a proxy change nothing.
	for _, headers := range [][2]string{{"Origin", "https://evil.example"}, {"Content-Type", "text/plain"}, {"X-Forwarded-For", "1.2.3.4"}} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/v1/alerts", strings.NewReader(upRule))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set(headers[0], headers[1])
		if code, body := exchange(t, request); code != 403 && code != 415 {
			t.Errorf("%v: got %d %s", headers, code, body)
		}
	}
}

// TestAlertOnTheTick tells an alarm as the tutorial does, and as the stream does.
func TestAlertOnTheTick(t *testing.T) {
	m := filled()
	b := serve(t, m, nil)
	page, stream := b.dial("/ws/prices?symbol=AAPL"), b.join(`{"action":"subscribe","alerts":["*"]}`)
	e := market.Alarm{Symbol: "SIM:AAPL", Seq: 25, Event: t0, Price: dec("187.24"), Text: "2.13% move!"}.Entry()
	e.Ref = "up:SIM:AAPL:25"
	m.Put("alert", e)
	page.want(`{"timestamp":"2026-11-23T14:30:00Z","symbol":"SIM:AAPL","price":187.24,"alert":"2.13% move!"}`)
	stream.want(`[{"T":"alert","S":"SIM:AAPL","p":187.24,"t":"2026-11-23T14:30:00Z","seq":25,"msg":"2.13% move!","id":"up:SIM:AAPL:25"}]`)
}
