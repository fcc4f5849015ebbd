package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

const spy market.Symbol = "FILE:SPY"

// rows makes the entries of a file of trades, one a row, begun at a time, some milliseconds apart.
func rows(n int, symbol market.Symbol, at market.Time) []market.Entry {
	rng := rand.New(rand.NewPCG(uint64(n), 9))
	list := make([]market.Entry, n)
	for i := range list {
		at += market.Time(rng.IntN(40)) * 1_000_000
		price, err := market.NewDecimal(14_000+rng.Int64N(300), -2)
		if err != nil {
			panic(err)
		}
		size, err := market.NewDecimal(1+rng.Int64N(500), 0)
		if err != nil {
			panic(err)
		}
		list[i] = market.Entry{Kind: market.KindTrade, Symbol: symbol, Event: at, Price: price, Size: size, Exchange: "P"}
	}
	return list
}

func idOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// feedIn puts a file in parts of a size, up to a number of parts; it returns whether the whole file is in.
func feedIn(ctx context.Context, in Intake, name string, entries []market.Entry, size, parts int) (bool, error) {
	begun, done, err := in.Begin(ctx, IntakeFile{ID: idOf(name), Name: name, Rows: uint64(len(entries))})
	if err != nil || done {
		return done, err
	}
	for at := int(begun); parts > 0; parts-- {
		end := min(at+size, len(entries))
		if err := in.Put(ctx, entries[at:end], uint64(end), end == len(entries)); err != nil {
			return false, err
		}
		if at = end; at == len(entries) {
			return true, nil
		}
	}
	return false, nil
}

// totals are what a file is told by: how many rows, and Σ price × size.
type totals struct {
	Rows     int
	Turnover string
}

func totalsOf(entries []market.Entry) totals {
	sum := new(big.Rat)
	for i := range entries {
		p, _ := new(big.Rat).SetString(entries[i].Price.String())
		s, _ := new(big.Rat).SetString(entries[i].Size.String())
		sum.Add(sum, p.Mul(p, s))
	}
	return totals{len(entries), sum.FloatString(4)}
}

// stored returns the totals of what history has of a symbol, whose numbers must be dense. Filter picks what counts; nil is all.
func stored(t *testing.T, n *node, symbol market.Symbol, filter func(*market.Row) bool) totals {
	t.Helper()
	var list []market.Entry
	seen := make(map[uint64]bool)
	if err := n.store.Ticks(t.Context(), market.TickQuery{Kind: market.KindTrade, Symbol: symbol, Limit: 1 << 30}, func(r *market.Row) error {
		seen[r.Seq] = true
		if filter == nil || filter(r) {
			list = append(list, r.Entry)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(len(seen)) {
		if !seen[seq+1] {
			t.Errorf("number %d is missing among %d", seq+1, len(seen))
			break
		}
	}
	return totalsOf(list)
}

// opened opens a data folder for looking.
func opened(t *testing.T, data string, look func(*node)) {
	t.Helper()
	in, err := openOffline(t.Context(), IntakeOptions{Data: data, Logger: discard(nil)})
	if err != nil {
		t.Fatal(err)
	}
	look(in.node)
	if err := in.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestIntakeOffline(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	entries := rows(5000, spy, market.FromStd(time.Date(2013, 10, 8, 13, 30, 0, 0, time.UTC)))
	rng := rand.New(rand.NewPCG(3, 3))
	for turn := range 20 {
		in, err := OpenIntake(t.Context(), IntakeOptions{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		done, err := feedIn(t.Context(), in, "a", entries, 1+rng.IntN(900), 1+rng.IntN(3))
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if done && turn > 0 && rng.IntN(3) == 0 {
			break
		}
	}
	opened(t, data, func(n *node) {
		if diff := cmp.Diff(totalsOf(entries), stored(t, n, spy, nil)); diff != "" {
			t.Errorf("history (-file +history):\n%s", diff)
		}
		rows, done, err := (&offlineIntake{node: n}).Begin(t.Context(), IntakeFile{ID: idOf("a")})
		if err != nil || !done || rows != uint64(len(entries)) {
			t.Errorf("the file stands at row %d, whole %v, %v", rows, done, err)
		}
		l, _ := n.store.Latest(spy)
		if want := entries[len(entries)-1].Event; l.LastTrade.Event != want {
			t.Errorf("last trade at %s, want %s", l.LastTrade.Event, want)
		}
		bars, _, err := n.store.Bars(t.Context(), market.BarQuery{Symbol: spy, Interval: market.Day1(), Limit: 10}, nil)
		if err != nil || len(bars) != 1 || !bars[0].Final {
			t.Errorf("daily bars %+v, %v", bars, err)
		}
	})
	if _, err := os.Stat(addressPath(data)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is an address of a server: %v", err)
	}
}

// TestIntakeOnline imports two files of a symbol through the server that runs on the folder, while a feed brings the symbol live.
func TestIntakeOnline(t *testing.T) {
	n, url := run(t, func(c *Config) { c.Feeds = []string{"sim://?symbols=SPY&rate=2000/s&seed=3"} })
	const live market.Symbol = "SIM:SPY"
	begin := market.FromStd(time.Date(2013, 10, 8, 13, 30, 0, 0, time.UTC))
	files := map[string][]market.Entry{"a": rows(8000, live, begin), "b": rows(6000, live, begin+market.Hour)}
	var wg sync.WaitGroup
	for name, entries := range files {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(len(entries)), 3))
			for range 40 {
				in, err := OpenIntake(t.Context(), IntakeOptions{Data: n.opts.Config.Data})
				if err != nil {
					t.Error(err)
					return
				}
				if _, ok := in.(*onlineIntake); !ok {
					t.Errorf("%T while a server runs", in)
				}
				done, err := feedIn(t.Context(), in, name, entries, 1+rng.IntN(900), 1+rng.IntN(3))
				if err != nil {
					t.Error(err)
					return
				}
				if err := in.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if done {
					return
				}
			}
			t.Error("the file did not come to its end")
		})
	}
	wg.Wait()
	for name, entries := range files {
		first, last := entries[0].Event, entries[len(entries)-1].Event
		symbols := func(r *market.Row) bool {
			if r.Flags&market.FlagHistory == 0 {
				return false
			}
			// The two overlap: those of the other file are told apart by when theirs begin and end.
			return r.Event >= first && r.Event <= last
		}
		got := stored(t, n, live, symbols)
		if len(files) == 2 && got.Rows < len(entries) {
			t.Errorf("%s: %d trades in history, want %d at least", name, got.Rows, len(entries))
		}
	}
	all := stored(t, n, live, func(r *market.Row) bool { return r.Flags&market.FlagHistory != 0 })
	if want := totalsOf(append(append([]market.Entry(nil), files["a"]...), files["b"]...)); all != want {
		t.Errorf("history has %+v, the files have %+v", all, want)
	}
	l, _ := n.store.Latest(live)
	if l.LastTrade.Flags&market.FlagHistory != 0 || market.IsImport(l.Feed) {
		t.Errorf("the symbol is of feed %s, its last trade of the past: %v", l.Feed, l.LastTrade.Flags)
	}
	if a, ok, err := FindServer(n.opts.Config.Data); err != nil || !ok || !strings.HasPrefix(url, strings.TrimSuffix(a.URL, "/")) {
		t.Errorf("server at %s, the folder says %+v, %v", url, a, err)
	}
}

// TestIntakeTakesNothingTwice holds what is answered to parts that come again, or in a wrong order.
func TestIntakeTakesNothingTwice(t *testing.T) {
	in, err := openOffline(t.Context(), IntakeOptions{Data: filepath.Join(t.TempDir(), "data"), Logger: discard(nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	m, id, entries := in.node.importer, idOf("x"), rows(100, spy, market.Hour)
	foreign := append([]market.Entry(nil), entries[:3]...)
	foreign[2].Kind = market.KindStatus
	nameless := append([]market.Entry(nil), entries[:3]...)
	nameless[1].Symbol = "FILE:../x\n"
	for _, step := range []struct {
		name   string
		part   gateway.ImportPart
		rows   uint64 // wanted
		failed error
	}{
		{"first", gateway.ImportPart{From: 0, Rows: 10, Entries: entries[:10]}, 10, nil},
		{"again", gateway.ImportPart{From: 0, Rows: 10, Entries: entries[:10]}, 10, nil},
		{"a hole", gateway.ImportPart{From: 20, Rows: 30, Entries: entries[20:30]}, 10, gateway.ErrImportConflict},
		{"an overlap", gateway.ImportPart{From: 5, Rows: 15, Entries: entries[5:15]}, 10, gateway.ErrImportConflict},
		{"backwards", gateway.ImportPart{From: 10, Rows: 5}, 10, gateway.ErrImport},
		{"entries of no rows", gateway.ImportPart{From: 10, Rows: 10, Entries: entries[10:11]}, 10, gateway.ErrImport},
		{"a status", gateway.ImportPart{From: 10, Rows: 13, Entries: foreign}, 10, gateway.ErrImport},
		{"a strange symbol", gateway.ImportPart{From: 10, Rows: 13, Entries: nameless}, 10, gateway.ErrImport},
		{"rejected rows", gateway.ImportPart{From: 10, Rows: 20}, 20, nil},
		{"the end", gateway.ImportPart{From: 20, Rows: 30, Last: true, Entries: entries[20:30]}, 30, nil},
		{"the end again", gateway.ImportPart{From: 20, Rows: 30, Last: true, Entries: entries[20:30]}, 30, nil},
		{"behind the end", gateway.ImportPart{From: 30, Rows: 40, Entries: entries[30:40]}, 30, nil},
	} {
		if _, err := m.Put(t.Context(), id, step.part); !errors.Is(err, step.failed) {
			t.Errorf("%s: %v, want %v", step.name, err, step.failed)
		}
		if s, err := m.Stand(t.Context(), id); err != nil || s.Rows != step.rows {
			t.Errorf("%s: stands at row %d, want %d; %v", step.name, s.Rows, step.rows, err)
		}
	}
	if err := in.recorded(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, in.node, spy, nil); got.Rows != 20 {
		t.Errorf("%d trades in history, want 20", got.Rows)
	}
	if _, err := m.Stand(t.Context(), "no id"); !errors.Is(err, gateway.ErrImport) {
		t.Errorf("a file without an id: %v", err)
	}
}

// TestImportTooLargeForARecord divides what is too large for one record of the tape, also when it is stopped between the halves.
func TestImportTooLargeForARecord(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	entries := rows(2000, spy, market.Hour)
	for i := range entries {
		entries[i].Ref = fmt.Sprintf("%d%s", i, strings.Repeat("x", 10_000))
	}
	ctx, cancel := context.WithCancel(t.Context())
	in, err := openOffline(t.Context(), IntakeOptions{Data: data, Logger: discard(nil)})
	if err != nil {
		t.Fatal(err)
	}
	// Between the halves the first time.
	m := in.node.importer
	f, err := m.locked(ctx, idOf("large"))
	if err != nil {
		t.Fatal(err)
	}
	half := append([]market.Entry(nil), entries[:500]...)
	for i := range half {
		half[i].Flags = market.FlagImported | market.FlagHistory
	}
	if err := m.appendSplit(ctx, f, half, importStand{extra: 500}, 0); err != nil {
		t.Fatal(err)
	}
	f.mu.Unlock()
	cancel()
	if err := in.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := OpenIntake(t.Context(), IntakeOptions{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	if done, err := feedIn(t.Context(), again, "large", entries, 2000, 1); err != nil || !done {
		t.Fatal(done, err)
	}
	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	opened(t, data, func(n *node) {
		if diff := cmp.Diff(totalsOf(entries), stored(t, n, spy, nil)); diff != "" {
			t.Errorf("history (-file +history):\n%s", diff)
		}
	})
}

func TestImportStandSurvivesItsOffset(t *testing.T) {
	for _, s := range []importStand{{}, {done: true, rows: 1}, {rows: 1 << 62, extra: 77, newest: -5}} {
		if got, err := parseStand(s.offset()); err != nil || got != s {
			t.Errorf("%+v came back as %+v, %v", s, got, err)
		}
	}
	for _, b := range [][]byte{{2, 0, 0, 0, 0}, {1}, {1, 3, 0, 0, 0}, {1, 0, 0x80}, {1, 0, 0, 0, 0, 0}} {
		if _, err := parseStand(b); err == nil {
			t.Errorf("%x was read", b)
		}
	}
}

// TestImportsOverHTTP holds who may import over HTTP, and what.
func TestImportsOverHTTP(t *testing.T) {
	_, base := run(t, func(c *Config) { c.Feeds = nil; c.Roles = []string{RoleRecord, RoleGateway} })
	record, err := new(tape.Encoder).Append(nil, 0, &tape.Batch{Entries: rows(3, spy, market.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	id := idOf("h")
	ask := func(method, path, kind string, body []byte, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	begin := fmt.Appendf(nil, `{"id":%q,"name":"h.csv","rows":3}`, id)
	for _, c := range []struct {
		name, method, path, kind string
		body                     []byte
		header                   []string
		want                     int
	}{
		{"begin", "POST", "v1/imports", "application/json", begin, nil, 200},
		{"a form", "POST", "v1/imports", "application/x-www-form-urlencoded", begin, nil, 415},
		{"no JSON", "POST", "v1/imports", "application/json", []byte("{"), nil, 400},
		{"no id", "POST", "v1/imports", "application/json", []byte(`{"id":"../x"}`), nil, 400},
		{"by GET", "GET", "v1/imports", "application/json", nil, nil, 405},
		{"another page", "POST", "v1/imports", "application/json", begin, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		{"through a proxy", "POST", "v1/imports", "application/json", begin, []string{"X-Forwarded-For", "203.0.113.9"}, 403},
		{"a wrong secret", "POST", "v1/imports", "application/json", begin, []string{"Authorization", "Bearer x"}, 403},
		{"a part", "POST", "v1/imports/" + id + "?from=0&rows=3", gateway.RecordType, record, nil, 200},
		{"the part again", "POST", "v1/imports/" + id + "?from=0&rows=3", gateway.RecordType, record, nil, 200},
		{"a hole", "POST", "v1/imports/" + id + "?from=7&rows=9", gateway.RecordType, record, nil, 409},
		{"not a record", "POST", "v1/imports/" + id + "?from=3&rows=9", gateway.RecordType, record[:len(record)-1], nil, 400},
		{"no rows", "POST", "v1/imports/" + id, gateway.RecordType, record, nil, 400},
		{"a strange parameter", "POST", "v1/imports/" + id + "?from=3&rows=9&x=1", gateway.RecordType, record, nil, 400},
		{"too large", "POST", "v1/imports/" + id + "?from=3&rows=9", gateway.RecordType, make([]byte, tape.MaxRecord+1), nil, 413},
		{"large elsewhere", "POST", "v1/imports", "application/json", make([]byte, 2<<20), nil, 413},
	} {
		if code, body := ask(c.method, c.path, c.kind, c.body, c.header...); code != c.want {
			t.Errorf("%s: %d, want %d: %s", c.name, code, c.want, body)
		}
	}
	if _, body := ask("POST", "v1/imports", "application/json", begin); !strings.HasPrefix(body, `{"rows":3,"done":false,"recorded":`) {
		t.Errorf("the file stands at %s", body)
	}
}

// BenchmarkImport puts a file of trades into history, end to end without the reading of the file: by the folder, and by a server.
func BenchmarkImport(b *testing.B) {
	entries := rows(500_000, spy, market.FromStd(time.Date(2013, 10, 8, 13, 30, 0, 0, time.UTC)))
	for _, online := range []bool{false, true} {
		b.Run(map[bool]string{false: "folder", true: "server"}[online], func(b *testing.B) {
			o := IntakeOptions{Data: filepath.Join(b.TempDir(), "data")}
			if online {
				n, _ := run(b, func(c *Config) { c.Feeds = nil; c.Roles = []string{RoleRecord, RoleGateway} })
				o.Data = n.opts.Config.Data
			}
			for i := range b.N {
				in, err := OpenIntake(b.Context(), o)
				if err != nil {
					b.Fatal(err)
				}
				if done, err := feedIn(b.Context(), in, fmt.Sprint(i), entries, IntakeBatch, 1<<30); err != nil || !done {
					b.Fatal(done, err)
				}
				if err := in.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*len(entries))/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
