package poll_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/feed/poll"
	"tapedeck/internal/market"
)

// server answers requests in order, without a network: the last answer again and again.
type server struct {
	mu      sync.Mutex
	answers []answer
	asked   []asked
	end     func() // called when the last answer was given once
}

type answer struct {
	status int // 0 is 200
	header map[string]string
	body   string
	err    error
}

type asked struct {
	at     time.Time
	query  string
	header http.Header
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.asked), len(s.answers)-1)
	if len(s.asked) == len(s.answers) && s.end != nil {
		s.end()
		return nil, req.Context().Err()
	}
	s.asked = append(s.asked, asked{time.Now(), req.URL.RawQuery, req.Header.Clone()})
	a := s.answers[n]
	if a.err != nil {
		return nil, a.err
	}
	resp := &http.Response{StatusCode: max(a.status, 200), Header: make(http.Header), Body: io.NopCloser(strings.NewReader(a.body)), Request: req}
	if a.status != 0 {
		resp.StatusCode = a.status
	}
	for name, value := range a.header {
		resp.Header.Set(name, value)
	}
	return resp, nil
}

// bodies are answers that are all well.
func bodies(list ...string) []answer {
	answers := make([]answer, len(list))
	for i, body := range list {
		answers[i].body = body
	}
	return answers
}

// run runs a source until the server has given its last answer, in a time that does not pass.
func run(t *testing.T, params string, start feed.Start, s *server) (*feedtest.Sink, error) {
	t.Helper()
	var sink feedtest.Sink
	var err error
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.end = cancel
		a := poll.Adapter("http+json", s)
		u, parseErr := feed.NewRegistry(a).Parse("http+json://lab.test/now?" + params)
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		start.Log = slog.New(slog.DiscardHandler)
		src, openErr := a.Open(u, start)
		if openErr != nil {
			t.Fatal(openErr)
		}
		err = src.Run(ctx, &sink)
	})
	return &sink, err
}

// lines returns what was pushed.
func lines(sink *feedtest.Sink) []string {
	var lines []string
	for _, e := range sink.Entries() {
		line := fmt.Sprintf("%s %s", e.Symbol.Name(), e.Price)
		if e.Flags&market.FlagNoEventTime == 0 {
			line += fmt.Sprintf(" at %d", e.Event/market.Second)
		}
		if e.ID != 0 || e.Ref != "" {
			line += fmt.Sprintf(" id %d%s", e.ID, e.Ref)
		}
		lines = append(lines, line)
	}
	return lines
}

const base = 1_764_000_000 // seconds

func TestWhatWasThereBeforeIsLeftOut(t *testing.T) {
	for name, test := range map[string]struct {
		params string
		bodies []string
		want   []string
	}{
		"neither id nor time": {
			"as=X&value=v",
			[]string{`{"v":1}`, `{"v":1}`, `{"v":2}`, `{"v":1}`, `{"v":1.0}`},
			[]string{"X 1", "X 2", "X 1", "X 1.0"},
		},
		"every reading": {"as=X&value=v&repeat=true", []string{`{"v":1}`, `{"v":1}`}, []string{"X 1", "X 1"}},
		"a place in the answer": {
			"symbol=s&value=v",
			[]string{`[{"s":"a","v":1},{"s":"b","v":1}]`, `[{"s":"a","v":1},{"s":"b","v":2}]`},
			[]string{"A 1", "B 1", "B 2"},
		},
		"time and value": {
			"as=X&value=v&time=t&items=@this",
			[]string{`[{"v":1,"t":1764000001},{"v":1,"t":1764000001},{"v":2,"t":1764000001}]`, `[{"v":1,"t":1764000001},{"v":1,"t":1764000001},{"v":1,"t":1764000001},{"v":2,"t":1764000001},{"v":2,"t":1764000002}]`},
			[]string{"X 1 at 1764000001", "X 1 at 1764000001", "X 2 at 1764000001", "X 1 at 1764000001", "X 2 at 1764000002"},
		},
		"ids, the newest first": {
			"as=X&value=v&time=t&id=i",
			[]string{`[{"v":3,"t":1764000002,"i":3},{"v":2,"t":1764000001,"i":"b"},{"v":1,"t":1764000001,"i":1}]`, `[{"v":4,"t":1764000002,"i":4},{"v":3,"t":1764000002,"i":3}]`},
			[]string{"X 1 at 1764000001 id 1", "X 2 at 1764000001 id 0b", "X 3 at 1764000002 id 3", "X 4 at 1764000002 id 4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sink, err := run(t, test.params, feed.Start{}, &server{answers: bodies(test.bodies...)})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the end of the context", err)
			}
			if diff := cmp.Diff(test.want, lines(sink)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestAfterARestart gives the source what an earlier process put on the tape.
func TestAfterARestart(t *testing.T) {
	body := `[{"v":1,"t":1764000001,"i":1},{"v":1,"t":1764000002,"i":2},{"v":2,"t":1764000002,"i":3},{"v":3,"t":1764000003,"i":4}]`
	trade := func(id uint64, price int64, second market.Time) market.Entry {
		d, err := market.NewDecimal(price, 0)
		if err != nil {
			t.Fatal(err)
		}
		return market.Entry{Kind: market.KindTrade, Symbol: "HTTP-JSON:X", ID: id, Price: d, Event: second * market.Second}
	}
	for name, test := range map[string]struct {
		params string
		last   market.Entry
		want   []string
	}{
		"by id":       {"as=X&value=v&time=t&id=i", trade(2, 1, base+2), []string{"X 2 at 1764000002 id 3", "X 3 at 1764000003 id 4"}},
		"id not told": {"as=X&value=v&time=t&id=i", trade(9, 1, base+2), []string{"X 1 at 1764000002 id 2", "X 2 at 1764000002 id 3", "X 3 at 1764000003 id 4"}},
		"by value":    {"as=X&value=v&time=t", trade(0, 2, base+2), []string{"X 3 at 1764000003"}},
		"all known":   {"as=X&value=v&time=t", trade(0, 3, base+3), nil},
		"long ago":    {"as=X&value=v&time=t", trade(0, 3, base), []string{"X 1 at 1764000001", "X 1 at 1764000002", "X 2 at 1764000002", "X 3 at 1764000003"}},
	} {
		t.Run(name, func(t *testing.T) {
			last := func(s market.Symbol, kind market.Kind) (market.Entry, bool) {
				return test.last, s == test.last.Symbol && kind == market.KindTrade
			}
			sink, _ := run(t, test.params, feed.Start{Last: last}, &server{answers: bodies(body, body)})
			if diff := cmp.Diff(test.want, lines(sink)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	t.Run("an unchanged value", func(t *testing.T) {
		last := trade(0, 7, base)
		sink, _ := run(t, "as=X&value=v", feed.Start{Last: func(market.Symbol, market.Kind) (market.Entry, bool) { return last, true }}, &server{answers: bodies(`{"v":7}`, `{"v":8}`)})
		if diff := cmp.Diff([]string{"X 8"}, lines(sink)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestSince(t *testing.T) {
	queries := func(s *server) (queries []string) {
		for _, a := range s.asked {
			queries = append(queries, a.query)
		}
		return queries
	}
	// The clock of these tests begins in 2000: what comes from 2226 is no place to go on from.
	s := &server{answers: bodies(
		`[]`,
		`[{"v":1,"t":"1999-11-23T10:00:00+01:00","i":9},{"v":2,"t":"1999-11-23T10:00:00+01:00","i":10},{"v":2,"t":"1999-11-23T10:00:00+01:00","i":8}]`,
		`[{"v":3,"t":"1999-11-23T10:00:01+01:00","i":11},{"v":4,"t":"2226-11-23T10:00:01+01:00","i":12}]`,
		`[]`,
	)}
	params := "as=X&value=v&time=t&id=i&query=room=1&since=after={id}%26at={time}"
	sink, _ := run(t, params, feed.Start{}, s)
	last := "room=1&after=11&at=1999-11-23T10%3A00%3A01%2B01%3A00"
	want := []string{"room=1", "room=1", "room=1&after=10&at=1999-11-23T10%3A00%3A00%2B01%3A00", last}
	if diff := cmp.Diff(want, queries(s)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := len(sink.Entries()); got != 5 {
		t.Errorf("got %d ticks, want 5", got)
	}
	s = &server{answers: bodies(`[]`)}
	_, _ = run(t, params, feed.Start{Offset: sink.Offset()}, s)
	if diff := cmp.Diff([]string{last}, queries(s)); diff != "" {
		t.Errorf("after a restart (-want +got)\n%s", diff)
	}
	s = &server{answers: bodies(`[]`)}
	_, _ = run(t, strings.Replace(params, "at=", "time=", 1), feed.Start{Offset: sink.Offset()}, s)
	if diff := cmp.Diff([]string{"room=1"}, queries(s)); diff != "" {
		t.Errorf("of another question (-want +got)\n%s", diff)
	}
}

func TestPaceAndPatience(t *testing.T) {
	s := &server{answers: []answer{
		{body: `{"v":1}`, header: map[string]string{"ETag": `"a"`}},
		{status: 304},
		{status: 503, header: map[string]string{"Retry-After": "60"}},
		{status: 500},
		{err: errors.New("connection reset")},
		{body: "<html>"},
		{body: `{"v":2}`, header: map[string]string{"ETag": `"b"`}},
		{status: 204},
	}}
	sink, err := run(t, "as=X&value=v&interval=10s&stall=5m", feed.Start{}, s)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
	if diff := cmp.Diff([]string{"X 1", "X 2"}, lines(sink)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := sink.Drops("not_json"); got != 1 {
		t.Errorf("got %d answers that are not JSON, want 1", got)
	}
	for i, least := range []time.Duration{9 * time.Second, 9 * time.Second, 60 * time.Second, 9 * time.Second, 9 * time.Second, 9 * time.Second, 9 * time.Second} {
		got := s.asked[i+1].at.Sub(s.asked[i].at)
		if i == 3 || i == 4 { // twice the pause that was asked for, as far as it is doubled
			least = 30 * time.Second
		}
		if got < least || got > least+3*time.Second {
			t.Errorf("before poll %d: got %s, want %s or a little more", i+1, got, least)
		}
	}
	tags := []string{"", `"a"`, `"a"`, `"a"`, `"a"`, `"a"`, "", `"b"`}
	for i, a := range s.asked {
		if got := a.header.Get("If-None-Match"); got != tags[i] {
			t.Errorf("poll %d: got If-None-Match %s, want %s", i, got, tags[i])
		}
	}
}

func TestWhatEndsAnAttempt(t *testing.T) {
	for name, test := range map[string]struct {
		answers   []answer
		params    string
		want      string
		permanent bool
		after     time.Duration
	}{
		"at once":   {[]answer{{status: 500}}, "", "lab.test answers 500", false, 0},
		"too often": {[]answer{{body: `{"v":1}`}, {status: 404}}, "&interval=1s&stall=5s", "answers 404", false, 0},
		"a bad key": {[]answer{{body: `{"v":1}`}, {status: 401}}, "", "look at key=", true, 0},
		"later":     {[]answer{{status: 429, header: map[string]string{"Retry-After": "7"}}}, "", "answers 429", false, 7 * time.Second},
		"too large": {[]answer{{body: strings.Repeat(" ", 2000)}}, "&max=1KB", "larger than max=1000", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // the last answer again and again, until the source gives up
				test.answers = append(test.answers, test.answers[len(test.answers)-1])
			}
			_, err := run(t, "as=X&value=v"+test.params, feed.Start{}, &server{answers: test.answers})
			if err == nil || !strings.Contains(err.Error(), test.want) || feed.IsPermanent(err) != test.permanent {
				t.Errorf("got %v (permanent %v), want %q", err, feed.IsPermanent(err), test.want)
			}
			retry := new(feed.RetryError)
			if errors.As(err, &retry); test.after != 0 && retry.After != test.after {
				t.Errorf("got a pause of %s, want %s", retry.After, test.after)
			}
		})
	}
}

// open makes a source that asks a real server.
func open(t *testing.T, scheme, address string) feed.Source {
	t.Helper()
	a := poll.Adapter(scheme, nil)
	u, err := feed.NewRegistry(a).Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	src, err := a.Open(u, feed.Start{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestSecretsStayWithTheirHost(t *testing.T) {
	t.Setenv("LAB_KEY", "hunter2 & more")
	stolen := make(chan string, 1)
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen <- r.Header.Get("X-Key") }))
	defer thief.Close()
	var got http.Header
	var query string
	lab := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, query = r.Header.Clone(), r.URL.Query().Get("k")
		http.Redirect(w, r, thief.URL, http.StatusFound)
	}))
	defer lab.Close()
	host := strings.TrimPrefix(lab.URL, "http://")
	src := open(t, "http+json", "http+json://"+host+"/now?as=X&value=v&header=X-Key:%20{key}&query=k={key}&key=env:LAB_KEY")
	err := src.Run(t.Context(), &feedtest.Sink{})
	if err == nil || !strings.Contains(err.Error(), "stays with "+host) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want an error about the redirect and no key", err)
	}
	if got.Get("X-Key") != "hunter2 & more" || query != "hunter2 & more" {
		t.Errorf("the server got %q and %q", got.Get("X-Key"), query)
	}
	lab.Close()
	if err := src.Run(t.Context(), &feedtest.Sink{}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want an error without the key", err)
	}
	select {
	case <-stolen:
		t.Error("the request followed the redirect")
	default:
	}
}

func TestRedirectWithoutSecrets(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"v":21.50}`) }))
	defer there.Close()
	here := httptest.NewServer(http.RedirectHandler(there.URL, http.StatusFound))
	defer here.Close()
	var sink feedtest.Sink
	sink.Stop = func(int) error { cancel(); return nil }
	err := open(t, "http+json", "http+json://"+strings.TrimPrefix(here.URL, "http://")+"/now?as=X&value=v").Run(ctx, &sink)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"X 21.50"}, lines(&sink)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestManyItems has more items than one push may hold, and more than are remembered at first.
func TestManyItems(t *testing.T) {
	items := make([]string, 10_000)
	for i := range items {
		items[i] = fmt.Sprintf(`{"v":%d,"t":%d}`, i, base+i)
	}
	body := "[" + strings.Join(items, ",") + "]"
	s := &server{answers: bodies(body, body, body)}
	sink, _ := run(t, "as=X&value=v&time=t", feed.Start{}, s)
	if got := len(sink.Entries()); got != 10_000 {
		t.Errorf("got %d ticks, want 10000", got)
	}
}

// FuzzPlace reads any bytes as the offset of a source.
func FuzzPlace(f *testing.F) {
	f.Add([]byte(`{"print":1,"id":"a","time":"b","at":"2026-11-23T14:30:00Z"}`))
	f.Add([]byte(`{"at":null}`))
	a := poll.Adapter("http+json", &server{answers: bodies(`{"v":1}`)})
	u, err := feed.NewRegistry(a).Parse("http+json://lab.test/now?as=X&value=v&id=i&since=after={id}")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := a.Open(u, feed.Start{Offset: b}); err != nil {
			t.Error(err)
		}
	})
}
