package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"tapedeck/internal/market"
)

// noImports takes nothing; with it the routes of imports are there.
type noImports struct{}

func (noImports) Stand(context.Context, string) (ImportStand, error) {
	return ImportStand{Rows: 7}, nil
}

func (noImports) Put(context.Context, string, ImportPart) (ImportStand, error) {
	return ImportStand{}, ErrImport
}

// allRoutes is a server with every route that there can be.
func allRoutes(t *testing.T) *bench {
	t.Helper()
	m := filled()
	m.Put("sim", quote("SIM:AAPL", 1, t0))
	m.Put("sim", market.Gap{Symbol: "SIM:AAPL", From: t0 + 5*market.Second, To: t0 + 20*market.Second, Reason: "disconnected"}.Entry())
	return serve(t, m, func(o *Options) {
		o.Imports = noImports{}
		o.Alerts = oneRule{}
		o.Gatherer = prometheus.NewRegistry()
		o.Feeds = twoFeeds
	})
}

// TestEveryRouteIsDescribed holds the table of operations against the routes that are registered.
func TestEveryRouteIsDescribed(t *testing.T) {
	b := allRoutes(t)
	described := make(map[string]bool)
	ids := make(map[string]bool)
	ops := b.g.operations()
	for i := range ops {
		described[ops[i].path] = true
		if ids[ops[i].id] {
			t.Errorf("two operations are called %s", ops[i].id)
		}
		ids[ops[i].id] = true
		if !slices.Contains(groups(), ops[i].group) {
			t.Errorf("%s is in no group that is shown", ops[i].path)
		}
	}
	patterns := b.g.routes().patterns
	for _, p := range patterns {
		// The page, and what refuses everything else below /udf.
		if p != "/" && p != "/udf" && p != "/udf/" && !described[p] {
			t.Errorf("%s is served, and not in the table of operations", p)
		}
	}
	for p := range described {
		if !slices.Contains(patterns, p) {
			t.Errorf("%s is in the table of operations, and not served", p)
		}
	}
}

// TestEveryParameterIsDescribed asks each route for a parameter that there is not, and compares those that it then names.
func TestEveryParameterIsDescribed(t *testing.T) {
	b := allRoutes(t)
	ops := b.g.operations()
	for i := range ops {
		o := &ops[i]
		if o.anyQuery {
			continue
		}
		var want []string
		for j := range o.params {
			if o.params[j].place() == "query" {
				want = append(want, o.params[j].name)
			}
		}
		path := strings.NewReplacer("{symbol}", "SIM:AAPL", "{id}", "ab", "{n}", "1").Replace(o.path)
		headers := []string{"Upgrade", "websocket", "Content-Type", RecordType}
		code, _, body := b.do(o.verb(), path+"?nosuchthing=1", headers...)
		var p struct{ Detail, Parameter string }
		if err := json.Unmarshal([]byte(body), &p); err != nil || code != 400 || p.Parameter != "nosuchthing" {
			t.Errorf("%s: got %d %s", o.path, code, body)
			continue
		}
		var got []string
		if _, names, ok := strings.Cut(p.Detail, "known are "); ok {
			got = strings.Split(names, ", ")
		}
		slices.Sort(want)
		slices.Sort(got)
		if o.path == "/ws/prices" || strings.HasSuffix(o.path, "/trades") || strings.HasSuffix(o.path, "/quotes") || strings.HasSuffix(o.path, "/bars") {
			got = slices.Compact(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s knows\n%q, and the table of operations has\n%q", o.path, got, want)
		}
	}
}

// closed returns the document with all objects closed, so that a member that is not described does not pass.
func closed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"]; ok {
			if _, open := v["additionalProperties"]; !open {
				v["additionalProperties"] = false
			}
		}
		for k := range v {
			v[k] = closed(v[k])
		}
	case []any:
		for i := range v {
			v[i] = closed(v[i])
		}
	}
	return v
}

func compile(t *testing.T, document []byte) (*jsonschema.Compiler, map[string]any) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	doc, ok := closed(v).(map[string]any)
	if !ok {
		t.Fatal("the document is no object")
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("http://localhost/document.json", doc); err != nil {
		t.Fatal(err)
	}
	return c, doc
}

// pointer is a name as a part of a JSON pointer.
func pointer(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// TestAnswersAreAsDescribed asks a server and validates what it answers against the document that it serves.
func TestAnswersAreAsDescribed(t *testing.T) {
	b := allRoutes(t)
	code, h, document := b.get("/openapi.json")
	if code != 200 || h.Get("Content-Type") != "application/json" {
		t.Fatalf("got %d %v", code, h)
	}
	c, _ := compile(t, []byte(document))
	seen := make(map[string]bool)
	for _, ask := range []struct{ path, query, pattern string }{
		{"/health", "", ""},
		{"/livez", "", ""},
		{"/readyz", "", ""},
		{"/history", "?limit=3", ""},
		{"/v1/symbols", "", ""},
		{"/v1/symbols", "?at=2026-11-23T14:31:00Z", ""},
		{"/v1/feeds", "", ""},
		{"/v1/coverage", "?symbol=AAPL&from=2026-11-23T14:30:00Z&to=2026-11-23T14:35:00Z&limit=1", ""},
		{"/v1/coverage", "?symbol=AAPL", ""},
		{"/v1/alerts", "", ""},
		{"/v1/alerts/up", "", "/v1/alerts/{id}"},
		{"/v1/alerts/history", "?symbol=AAPL&limit=1", ""},
		{"/v1/receipt", "?symbol=AAPL&timeframe=1Min&t=2026-11-23T14:30:10Z", ""},
		{"/v2/stocks/trades", "?symbols=AAPL,BTC/USD&limit=3", ""},
		{"/v2/stocks/quotes", "?symbols=AAPL", ""},
		{"/v2/stocks/bars", "?symbols=AAPL&timeframe=1Min&coverage=true", ""},
		{"/v2/stocks/AAPL/trades", "?limit=2", "/v2/stocks/{symbol}/trades"},
		{"/v2/stocks/AAPL/quotes", "", "/v2/stocks/{symbol}/quotes"},
		{"/v2/stocks/AAPL/bars", "?timeframe=1Day", "/v2/stocks/{symbol}/bars"},
		{"/v1beta3/crypto/us/trades", "?symbols=BTC/USD", ""},
		{"/v1beta3/crypto/us/quotes", "?symbols=BTC/USD", ""},
		{"/v1beta3/crypto/us/bars", "?symbols=BTC/USD&timeframe=1H", ""},
		{"/v2/stocks/trades/latest", "?symbols=AAPL,BTC/USD", ""},
		{"/v2/stocks/quotes/latest", "?symbols=AAPL,BTC/USD", ""},
		{"/v2/stocks/bars/latest", "?symbols=AAPL", ""},
		{"/v2/stocks/AAPL/trades/latest", "", "/v2/stocks/{symbol}/trades/latest"},
		{"/v2/stocks/BTC%2FUSD/quotes/latest", "", "/v2/stocks/{symbol}/quotes/latest"},
		{"/v2/stocks/AAPL/bars/latest", "", "/v2/stocks/{symbol}/bars/latest"},
		{"/v1beta3/crypto/us/latest/trades", "?symbols=BTC/USD", ""},
		{"/v1beta3/crypto/us/latest/quotes", "?symbols=BTC/USD", ""},
		{"/v1beta3/crypto/us/latest/bars", "?symbols=BTC/USD", ""},
		{"/v2/stocks/snapshots", "?symbols=AAPL,BTC/USD", ""},
		{"/v2/stocks/AAPL/snapshot", "", "/v2/stocks/{symbol}/snapshot"},
		{"/v1beta3/crypto/us/snapshots", "?symbols=BTC/USD", ""},
		{"/udf/config", "", ""},
		{"/udf/search", "?query=A", ""},
		{"/udf/symbols", "?symbol=SIM:AAPL", ""},
		{"/udf/symbols", "?symbol=NOSUCH", ""},
		{"/udf/history", "?symbol=SIM:AAPL&resolution=1&from=0&to=1999999999", ""},
		{"/udf/history", "?symbol=SIM:AAPL&resolution=1&from=0&to=99", ""},
		{"/udf/history", "?symbol=NOSUCH&resolution=1&from=0&to=99", ""},
		{"/udf/quotes", "?symbols=SIM:AAPL,NOSUCH", ""},
		{"/udf/marks", "?symbol=SIM:AAPL&resolution=1&from=0&to=1999999999", ""},
		{"/udf/timescale_marks", "?symbol=SIM:AAPL&resolution=1&from=0&to=1999999999", ""},
		{"/openapi.json", "", ""},
		{"/asyncapi.json", "", ""},
	} {
		pattern := ask.pattern
		if pattern == "" {
			pattern = ask.path
		}
		seen[pattern] = true
		code, _, body := b.get(ask.path + ask.query)
		if code != 200 {
			t.Errorf("%s: got %d %s", ask.path, code, body)
			continue
		}
		validate(t, c, ask.path+ask.query, "#/paths/"+pointer(pattern)+"/get/responses/200/content/application~1json/schema", body)
	}
	ops := b.g.operations()
	for i := range ops {
		o := &ops[i]
		if o.verb() == http.MethodGet && len(o.answers) > 0 && o.answers[0].media == "application/json" && !seen[o.path] {
			t.Errorf("no answer of %s is validated", o.path)
		}
	}
	for path, status := range map[string]int{
		"/history?limit=0": 400, "/v2/stocks/trades?symbols=NOSUCH": 404, "/v2/tape": 426, "/nothing": 404, "/v1/imports": 405,
	} {
		code, _, body := b.get(path)
		if code != status {
			t.Errorf("%s: got %d", path, code)
		}
		validate(t, c, path, "#/components/schemas/Problem", body)
	}
}

func validate(t *testing.T, c *jsonschema.Compiler, what, schema, body string) {
	t.Helper()
	s, err := c.Compile("http://localhost/document.json" + schema)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		t.Errorf("%s: %v in %s", what, err, body)
		return
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%s: %v\n%.600s", what, err, body)
	}
}

// TestMessagesAreAsDescribed validates what is said on a stream, and the examples of the document.
func TestMessagesAreAsDescribed(t *testing.T) {
	b := allRoutes(t)
	_, _, document := b.get("/asyncapi.json")
	c, doc := compile(t, []byte(document))
	components, _ := doc["components"].(map[string]any)
	messages, _ := components["messages"].(map[string]any)
	for name, m := range messages {
		message, _ := m.(map[string]any)
		examples, _ := message["examples"].([]any)
		for _, e := range examples {
			example, _ := e.(map[string]any)
			text, err := json.Marshal(example["payload"])
			if err != nil {
				t.Fatal(err)
			}
			validate(t, c, "the example of "+name, "#/components/messages/"+name+"/payload", string(text))
		}
		if len(examples) == 0 {
			t.Errorf("%s has no example", name)
		}
	}
	names := make(map[string]string)
	for _, m := range serverMessages() {
		kind, _ := m.example["T"].(string)
		names[kind] = m.name
	}
	conn := b.dial("/v2/tape")
	heard := make(map[string]bool)
	hear := func() {
		var list []json.RawMessage
		text := conn.read()
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		for _, one := range list {
			var m map[string]any // which, unlike a struct, knows T from t
			if err := json.Unmarshal(one, &m); err != nil {
				t.Fatal(err)
			}
			kind, _ := m["T"].(string)
			name, ok := names[kind]
			if !ok {
				t.Fatalf("%s is not described", one)
			}
			heard[name] = true
			validate(t, c, string(one), "#/components/messages/"+name+"/payload", "["+string(one)+"]")
		}
	}
	conn.send(`{"action":"subscribe","trades":["*"],"quotes":["*"],"bars":["*"],"dailyBars":["*"],"statuses":["*"],"cursor":true}`)
	for !heard["subscription"] {
		hear()
	}
	conn.send(`{"action":"nonsense"}`)
	for !heard["error"] {
		hear()
	}
	conn.send(`{"action":"play","from":"` + t0.String() + `","speed":"max"}`)
	for !heard["clock"] || !heard["trade"] || !heard["quote"] || !heard["gap"] {
		hear()
	}
	for _, m := range clientMessages() {
		action, _ := m.example["action"].(string)
		text, err := json.Marshal(m.example)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseRequest(false, text); err != nil || action != m.name {
			t.Errorf("the example of %s is not understood: %v", m.name, err)
		}
	}
}

// TestDocsPage looks that the page has every operation, needs nothing from anywhere, and has only links that lead somewhere.
func TestDocsPage(t *testing.T) {
	b := allRoutes(t)
	code, h, page := b.get("/docs")
	if code != 200 || h.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("got %d %v", code, h)
	}
	ops := b.g.operations()
	for i := range ops {
		if !strings.Contains(page, `id="`+ops[i].id+`"`) || !strings.Contains(page, "<code>"+ops[i].path+"</code>") {
			t.Errorf("%s is not on the page", ops[i].path)
		}
	}
	for _, bad := range []string{"<script", "<link", "<img", "@import", "url(", "http://", "https://", "ZgotmplZ", "<no value>"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if anchor, ok := strings.CutPrefix(m[1], "#"); ok {
			if !strings.Contains(page, `id="`+anchor+`"`) {
				t.Errorf("a link to #%s leads nowhere", anchor)
			}
		} else if strings.HasPrefix(m[1], "/") {
			t.Errorf("a link to %s leaves the path of a proxy", m[1])
		}
	}
	if code, _, body := b.get("/docs?x=1"); code != 400 {
		t.Errorf("got %d %s", code, body)
	}
	if code, h, body := b.do(http.MethodHead, "/openapi.json"); code != 200 || body != "" || h.Get("Content-Length") == "" {
		t.Errorf("HEAD: got %d %v", code, h)
	}
}
