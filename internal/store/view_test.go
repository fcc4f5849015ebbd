package store

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

var update = flag.Bool("update", false, "write the golden files")

func memory(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func checkDecimal(t *testing.T, db *sql.DB, coef int64, exp int) {
	t.Helper()
	d, err := market.NewDecimal(coef, exp)
	if err != nil {
		return
	}
	var got string
	query := "SELECT " + decimalText("c", "e") + " FROM (SELECT ?1 AS c, ?2 AS e)"
	if err := db.QueryRowContext(context.Background(), query, coef, exp).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != d.String() {
		t.Errorf("%de%d reads %q in a view, want %q", coef, exp, got, d)
	}
}

func TestDecimalsInViews(t *testing.T) {
	db := memory(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for exp := market.MinExp; exp <= market.MaxExp; exp += 1 + rnd.IntN(3) {
		for _, coef := range []int64{0, 1, -1, 9, 10, -10, 100, 12345, -12345, 1_000_000, math.MaxInt64, -math.MaxInt64} {
			checkDecimal(t, db, coef, exp)
		}
	}
	for range 300 {
		coef := rnd.Int64() >> rnd.IntN(63)
		if rnd.IntN(2) == 0 {
			coef = -coef
		}
		checkDecimal(t, db, coef, rnd.IntN(81)-40)
	}
}

func FuzzDecimalInView(f *testing.F) {
	f.Add(int64(18742), -2)
	f.Add(int64(-5), -40)
	f.Add(int64(0), 7)
	db := memory(f)
	f.Fuzz(func(t *testing.T, coef int64, exp int) { checkDecimal(t, db, coef, exp) })
}

func checkTime(t *testing.T, db *sql.DB, ns int64) {
	t.Helper()
	var got sql.NullString
	query := "SELECT " + timeText("t") + " FROM (SELECT ?1 AS t)"
	if err := db.QueryRowContext(context.Background(), query, ns).Scan(&got); err != nil {
		t.Fatal(err)
	}
	want := sql.NullString{}
	if ns != 0 {
		want = sql.NullString{String: market.Time(ns).Std().Format("2006-01-02T15:04:05.000000000Z"), Valid: true}
	}
	if got != want {
		t.Errorf("%d reads %v in a view, want %v", ns, got, want)
	}
}

func TestTimesInViews(t *testing.T) {
	db := memory(t)
	for _, ns := range []int64{
		0, 1, -1, 999_999_999, 1_000_000_000, -999_999_999, -1_000_000_000, -1_000_000_001, math.MinInt64, math.MaxInt64, int64(start),
		time.Date(2024, 2, 29, 23, 59, 59, 999_999_999, time.UTC).UnixNano(), time.Date(1900, 3, 1, 0, 0, 0, 0, time.UTC).UnixNano(),
	} {
		checkTime(t, db, ns)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		checkTime(t, db, int64(rnd.Uint64())>>rnd.IntN(63))
	}
}

func FuzzTimeInView(f *testing.F) {
	f.Add(int64(start))
	f.Add(int64(-1))
	db := memory(f)
	f.Fuzz(func(t *testing.T, ns int64) { checkTime(t, db, ns) })
}

func FuzzIdentity(f *testing.F) {
	f.Add(uint64(0), "")
	f.Add(uint64(math.MaxUint64), "a b")
	f.Add(uint64(7), " 8")
	f.Fuzz(func(t *testing.T, id uint64, ref string) {
		gotID, gotRef, err := parseIdentity(identity(id, ref))
		if err != nil || gotID != id || gotRef != ref {
			t.Errorf("(%d, %q) came back as (%d, %q), %v", id, ref, gotID, gotRef, err)
		}
	})
}

// userReads returns the rows of a query as text, read over a connection such as any user of the file has.
func userReads(t testing.TB, path, query string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, to, line := make([]sql.NullString, len(columns)), make([]any, len(columns)), make([]string, len(columns))
	for i := range values {
		to[i] = &values[i]
	}
	var out []string
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		for i := range values {
			line[i] = values[i].String
		}
		out = append(out, strings.Join(line, "|"))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestViews(t *testing.T) {
	src := newMemTape()
	a := trade("SIM:AAPL", 1, start, "187.420", "0.00000001")
	a.ID, a.Ref, a.Exchange, a.Conditions, a.Tape, a.Flags = 1<<63, "x", "V", "@,I", 'C', market.FlagBackfilled|market.FlagImported
	b := trade("SIM:AAPL", 2, start+1, "-5", "100")
	b.Side, b.Ref = market.SideSell, "abc"
	q := quote("SIM:AAPL", 1, start+market.Second/4, "187.4", "187.43")
	q.Exchange, q.AskFrom = "V", "Q"
	src.Put("sim", a, b, q)
	src.Put("sim", market.Gap{Symbol: "SIM:AAPL", From: start, To: start + market.Second, Reason: "line was down"}.Entry(),
		market.Heartbeat{Event: start + 2*market.Minute, Received: start + 2*market.Minute}.Entry())
	o := options(t)
	s := mustOpen(t, o)
	record(t, s, src)
	for query, want := range map[string][]string{
		"SELECT * FROM trades ORDER BY n": {
			"SIM:AAPL|2026-11-23T14:30:00.000000000Z|1795444200000000000|1|187.420|0.00000001|buy|9223372036854775808 x|V|@,I|C|" +
				"2026-11-23T14:30:00.003000000Z|1795444200003000000|backfilled imported|1",
			"SIM:AAPL|2026-11-23T14:30:00.000000001Z|1795444200000000001|2|-5|100|sell|abc||||" +
				"2026-11-23T14:30:00.003000001Z|1795444200003000001||2",
		},
		"SELECT * FROM quotes": {
			"SIM:AAPL|2026-11-23T14:30:00.250000000Z|1795444200250000000|1|187.4|1|187.43|20|V|Q|||" +
				"2026-11-23T14:30:00.253000000Z|1795444200253000000||3",
		},
		"SELECT * FROM bars WHERE interval = '1m'": {
			"SIM:AAPL|1m|2026-11-23T14:30:00.000000000Z|1795444200000000000|1795444260000000000|187.420|187.420|-5|-5|" +
				"100.00000001|-499.99999812580|2|0|1|1",
		},
		"SELECT * FROM gaps": {
			"feed|SIM:AAPL|sim|2026-11-23T14:30:00.000000000Z|1795444200000000000|2026-11-23T14:30:01.000000000Z|1795444201000000000|" +
				"line was down||0|2|2",
		},
		"SELECT symbol, feed, trades, trade_seq, quotes, quote_seq FROM symbols": {"SIM:AAPL|sim|2|2|1|1"},
	} {
		if diff := cmp.Diff(want, userReads(t, o.Path, query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

// What the documents tell users to ask reads what is asked for, and not all there is.
func TestViewsAreFast(t *testing.T) {
	o, _, _ := filled(t)
	for _, query := range []string{
		"SELECT time, price, size, side FROM trades WHERE symbol = 'ALPACA:SPY' ORDER BY time_ns DESC LIMIT 10",
		"SELECT time, bid, ask FROM quotes WHERE symbol = 'ALPACA:SPY' AND time_ns >= 5 ORDER BY time_ns LIMIT 10",
		"SELECT time, open, close FROM bars WHERE symbol = 'ALPACA:SPY' AND interval = '1m' ORDER BY time_ns DESC LIMIT 60",
	} {
		plan := strings.Join(userReads(t, o.Path, "EXPLAIN QUERY PLAN "+query), "\n")
		if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\n%s", query, plan)
		}
	}
}

// The schema is a promise to everyone who reads the file: this file of it changes by adding only.
func TestSchemaGolden(t *testing.T) {
	o := options(t)
	mustOpen(t, o)
	got := strings.Join(userReads(t, o.Path, "SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name"), "\n") + "\n"
	for _, pragma := range []string{"application_id", "user_version", "page_size", "journal_mode", "encoding"} {
		got += fmt.Sprintf("PRAGMA %s = %s;\n", pragma, userReads(t, o.Path, "PRAGMA "+pragma)[0])
	}
	name := filepath.Join("testdata", "schema.sql")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}
