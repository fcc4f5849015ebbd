package alert_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/alert"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// engine is one that runs.
type engine struct {
	*alert.Engine
	t    testing.TB
	file string
	stop func()
}

func start(t testing.TB, tp *tapetest.Memory, path string, edit func(*alert.Options)) *engine {
	t.Helper()
	o := alert.Options{
		Path: path, Tape: tp, Calendars: market.NewCalendars(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Every: time.Hour,
	}
	if edit != nil {
		edit(&o)
	}
	e, err := alert.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop := sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return &engine{e, t, path, stop}
}

// put sets rules.
func (e *engine) put(rules ...alert.Rule) {
	e.t.Helper()
	for _, r := range rules {
		if _, err := e.Put(e.t.Context(), r); err != nil {
			e.t.Fatal(err)
		}
	}
}

// until waits until the tape holds what a look at it wants.
func until(t testing.TB, tp *tapetest.Memory, there func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		last := tp.Bounds().Last
		if there() {
			return
		}
		if err := tp.Wait(ctx, last); err != nil {
			t.Fatal("what the test waits for does not come")
		}
	}
}

func ids(tp *tapetest.Memory) (list []string) {
	for _, e := range tp.Entries(market.KindAlarm) {
		list = append(list, e.Ref)
	}
	return list
}

// copyOf writes down what a power cut at this moment would leave of the file.
func copyOf(t testing.TB, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "alerts.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "PRAGMA busy_timeout=10000"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "VACUUM INTO ?", to); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestKilledInAStorm takes the file away 50 times while rules fire, and goes on with what a kill would have left of it: each alarm
// is on the tape once and in the file once, and they are those of a book that was never disturbed.
func TestKilledInAStorm(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	records := storm(rng, 750)
	tp := new(tapetest.Memory)
	e := start(t, tp, filepath.Join(t.TempDir(), "alerts.db"), nil)
	e.put(everything()...)
	for i, rec := range records {
		tp.Put(rec.Feed, rec.Entries...)
		if i%15 == 14 {
			if rng.IntN(2) == 0 { // at times with all that was there so far, at times in the middle of it
				seen := tp.Bounds().Last
				until(t, tp, func() bool { return tp.Bounds().Last > seen || rng.IntN(3) == 0 })
			}
			left := copyOf(t, e.file)
			e.stop()
			e = start(t, tp, left, func(o *alert.Options) {
				if rng.IntN(2) == 0 {
					o.Every = 1
				}
			})
		}
	}
	want := newFloor(t, everything()...)
	var expected []string
	for _, rec := range records {
		for _, a := range want.book.Push(rec) {
			expected = append(expected, a.ID)
		}
	}
	until(t, tp, func() bool { return len(ids(tp)) >= len(expected) })
	e.stop()
	if diff := cmp.Diff(expected, ids(tp)); diff != "" {
		t.Errorf("on the tape (-want +got)\n%.3000s", diff)
	}
	e = start(t, tp, e.file, nil)
	e.put(alert.Rule{ID: "end", Name: "end", Symbols: []string{"NONE:NONE"}, When: "price > 0"}) // waits for what is on the tape
	list, err := e.Fired(t.Context(), alert.Query{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var noted []string
	for _, f := range list {
		noted = append([]string{f.Alarm.ID}, noted...)
	}
	if diff := cmp.Diff(expected, noted); diff != "" {
		t.Errorf("in the file (-want +got)\n%.3000s", diff)
	}
}

var errBroken = errors.New("broken")

// TestTapeIsFull has the tape refuse for a while: no alarm is lost, none comes twice.
func TestTapeIsFull(t *testing.T) {
	tp := new(tapetest.Memory)
	e := start(t, tp, filepath.Join(t.TempDir(), "alerts.db"), nil)
	e.put(alert.Rule{Name: "up", ID: "up", Symbols: []string{"*"}, When: "price > 100", Until: "price > 0"})
	var mu sync.Mutex
	refused := 0
	tp.OnAppend(func(rec *tape.Record) error {
		mu.Lock()
		defer mu.Unlock()
		if rec.Feed == market.AlertFeed && refused < 3 {
			refused++
			return []error{tape.ErrFull, tape.ErrUnavailable, errBroken}[refused-1]
		}
		return nil
	})
	f := newFloor(t)
	var want []string
	for i := range 20 {
		f.seqs["SIM:A"]++
		tp.Put("sim", market.Entry{Kind: market.KindTrade, Symbol: "SIM:A", Seq: uint64(i + 1), Event: t0 + market.Time(i), Price: dec(t, "101"), Size: dec(t, "1")})
		want = append(want, fmt.Sprintf("up:SIM:A:%d", i+1))
	}
	until(t, tp, func() bool { return len(ids(tp)) >= len(want) })
	if diff := cmp.Diff(want, ids(tp)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestPastIsNotToldAgain starts on a tape that has a past, and changes rules.
func TestPastIsNotToldAgain(t *testing.T) {
	tp := new(tapetest.Memory)
	seq := uint64(0)
	trade := func(price string) {
		seq++
		tp.Put("sim", market.Entry{Kind: market.KindTrade, Symbol: "SIM:A", Seq: seq, Event: t0 + market.Time(seq)*second, Price: dec(t, price), Size: dec(t, "1")})
	}
	trade("101")
	path := filepath.Join(t.TempDir(), "alerts.db")
	e := start(t, tp, path, nil)
	e.put(alert.Rule{ID: "up", Name: "up", Symbols: []string{"A"}, When: "price > 100"})
	trade("99")
	trade("102")
	until(t, tp, func() bool { return len(ids(tp)) == 1 })
	if err := e.Delete(t.Context(), "up"); err != nil {
		t.Fatal(err)
	}
	if err := e.Delete(t.Context(), "up"); !errors.Is(err, alert.ErrNoRule) {
		t.Errorf("got %v", err)
	}
	if _, err := e.Put(t.Context(), alert.Rule{Name: "bad", Symbols: []string{"*"}, When: "price >"}); !errors.Is(err, alert.ErrCondition) {
		t.Errorf("got %v", err)
	}
	r, err := e.Put(t.Context(), alert.Rule{Name: "down", Symbols: []string{"*"}, When: "price < 50"})
	if err != nil || r.ID == "" {
		t.Fatalf("got %+v, %v", r, err)
	}
	e.stop()
	trade("99")
	trade("49") // while nobody looks
	e = start(t, tp, path, nil)
	until(t, tp, func() bool { return len(ids(tp)) == 2 })
	want := []string{"up:SIM:A:3", r.ID + ":SIM:A:5"}
	if diff := cmp.Diff(want, ids(tp)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	e.Rules() // waits for what is on the tape to be noted
	list, err := e.Fired(t.Context(), alert.Query{Rule: "up"})
	if err != nil || len(list) != 1 || list[0].Name != "up" || list[0].Alarm.Price.String() != "102" {
		t.Fatalf("got %+v, %v", list, err)
	}
	if err := e.Acknowledge(t.Context(), list[0].N); err != nil {
		t.Error(err)
	}
	if err := e.Acknowledge(t.Context(), 99); !errors.Is(err, alert.ErrNoRule) {
		t.Errorf("got %v", err)
	}
	if list, err = e.Fired(t.Context(), alert.Query{}); err != nil || len(list) != 2 || list[1].Acknowledged == 0 || list[0].Acknowledged != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
}

// hook is a target that notes what it gets.
type hook struct {
	*httptest.Server
	mu    sync.Mutex
	got   []alert.Message
	wrong []string
	came  chan struct{}
}

func newHook(t testing.TB, secret string, answer func(n int) int) *hook {
	h := &hook{came: make(chan struct{}, 1000)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m alert.Message
		h.mu.Lock()
		defer h.mu.Unlock()
		if err := errors.Join(err, json.Unmarshal(body, &m)); err != nil {
			h.wrong = append(h.wrong, err.Error())
		}
		at, sum, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Tapedeck-Signature"), "t="), ",v1=")
		if secret != "" && sum != alert.Sign(secret, at, body) {
			h.wrong = append(h.wrong, "signature "+r.Header.Get("Tapedeck-Signature"))
		}
		h.got = append(h.got, m)
		w.WriteHeader(answer(len(h.got)))
		h.came <- struct{}{}
	}))
	t.Cleanup(h.Close)
	return h
}

// wait waits for n requests.
func (h *hook) wait(t testing.TB, n int) []alert.Message {
	t.Helper()
	late := time.After(30 * time.Second)
	for range n {
		select {
		case <-h.came:
		case <-late:
			t.Fatalf("%d requests did not come", n)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.wrong) > 0 {
		t.Error(h.wrong)
	}
	return h.got
}

func loopback(o *alert.Options) {
	o.Webhooks = alert.WebhookOptions{Secret: "s3cret", Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// TestWebhook posts the tutorial's alarm once to one target, and again to another that failed at first; one that never answers delays none.
func TestWebhook(t *testing.T) {
	tp := new(tapetest.Memory)
	e := start(t, tp, filepath.Join(t.TempDir(), "alerts.db"), loopback)
	ended := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	}))
	defer stuck.Close()
	defer close(ended)
	good := newHook(t, "s3cret", func(int) int { return 204 })
	weak := newHook(t, "s3cret", func(n int) int { return map[bool]int{true: 503, false: 200}[n == 1] })
	r := alert.Tutorial()
	r.Webhooks = []string{stuck.URL, good.URL + "/a/secret/path", weak.URL}
	e.put(r)
	for i, price := range []string{"100", "100.1", "103.2", "103.1"} {
		tp.Put("sim", market.Entry{Kind: market.KindTrade, Symbol: "SIM:A", Seq: uint64(i + 1), Event: t0 + market.Time(i)*second, Price: dec(t, price), Size: dec(t, "1")})
	}
	want := alert.Message{
		ID: "move-2-10s:SIM:A:3", Rule: r.ID, Name: r.Name, Symbol: "SIM:A", Seq: 3, Time: "2023-11-14T22:13:22Z", Price: dec(t, "103.2"),
		Text: "3.20% move!", Severity: alert.Warning,
	}
	for _, h := range []*hook{good, weak} {
		times := 1
		if h == weak {
			times = 2
		}
		for _, got := range h.wait(t, times) {
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(market.Decimal{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		}
	}
}

// TestWebhookKeepsOut has a target that is not public: nothing is ever sent to it.
func TestWebhookKeepsOut(t *testing.T) {
	h := newHook(t, "", func(int) int { return 200 })
	tp := new(tapetest.Memory)
	e := start(t, tp, filepath.Join(t.TempDir(), "alerts.db"), nil)
	r := alert.Rule{ID: "r", Name: "r", Symbols: []string{"*"}, When: "price > 0", Webhooks: []string{h.URL}}
	e.put(r)
	tp.Put("sim", market.Entry{Kind: market.KindTrade, Symbol: "SIM:A", Seq: 1, Event: t0, Price: dec(t, "1"), Size: dec(t, "1")})
	until(t, tp, func() bool { return len(ids(tp)) == 1 })
	e.stop()
	if len(h.got) != 0 {
		t.Errorf("got %+v", h.got)
	}
}

// TestAllowed is a table of addresses.
func TestAllowed(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "198.18.0.1", "255.255.255.255", "224.0.0.1", "240.0.0.1",
		"::1", "::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "ff02::1", "fe80::1%eth0",
	} {
		if alert.Allowed(&alert.WebhookOptions{}, netip.MustParseAddr(a)) {
			t.Errorf("%s is allowed", a)
		}
	}
	for _, a := range []string{"93.184.216.34", "2606:2800:220:1::1"} {
		if !alert.Allowed(&alert.WebhookOptions{}, netip.MustParseAddr(a)) {
			t.Errorf("%s is not allowed", a)
		}
	}
}
