package server

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
)

// folder returns a data folder into which a file of trades, and one of bars, were imported.
func folder(tb testing.TB, entries []market.Entry) string {
	tb.Helper()
	data := filepath.Join(tb.TempDir(), "data")
	in, err := OpenIntake(tb.Context(), IntakeOptions{Data: data})
	if err != nil {
		tb.Fatal(err)
	}
	if done, err := feedIn(tb.Context(), in, "trades", entries, IntakeBatch, 1<<30); err != nil || !done {
		tb.Fatal(done, err)
	}
	var bars []market.Entry
	for i := range market.Time(2500) {
		b := market.Bar{
			Symbol: "FILE:OLD", Interval: market.Min1(), Start: (1000 + i) * market.Minute, End: (1001 + i) * market.Minute,
			Open: entries[i].Price, High: entries[i].Price, Low: entries[i].Price, Close: entries[i].Price, Count: 1,
		}
		bars = append(bars, b.Entry())
	}
	if done, err := feedIn(tb.Context(), in, "bars", bars, 700, 1<<30); err != nil || !done {
		tb.Fatal(done, err)
	}
	if err := in.Close(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestExportIsTheSameThroughAServer compares what a folder exports with what the server exports that runs on it.
func TestExportIsTheSameThroughAServer(t *testing.T) {
	begin := market.FromStd(time.Date(2013, 10, 8, 13, 30, 0, 0, time.UTC))
	entries := rows(5000, spy, begin)
	data := folder(t, entries)
	middle := entries[2500].Event
	queries := []ExportQuery{
		{Symbols: []string{"SPY"}, Kind: market.KindTrade},
		{Symbols: []string{"file:spy"}, Kind: market.KindTrade, From: middle},
		{Symbols: []string{"FILE:SPY"}, Kind: market.KindTrade, To: middle},
		{Symbols: []string{"FILE:SPY"}, Kind: market.KindBar, Interval: market.Sec1()},
		{Symbols: []string{"OLD", "SPY"}, Kind: market.KindBar, Interval: market.Min1()},
	}
	want := make([]string, len(queries))
	export := func(i int) string {
		t.Helper()
		var out bytes.Buffer
		q := queries[i]
		q.Format = gateway.FormatCSV
		if err := Export(t.Context(), IntakeOptions{Data: data}, q, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for i := range queries {
		want[i] = export(i)
	}
	if n := strings.Count(want[0], "\n"); n != 5001 {
		t.Errorf("%d lines of all trades, want 5001", n)
	}
	if n := strings.Count(want[1], "\n") + strings.Count(want[2], "\n"); n != 5002 {
		t.Errorf("%d lines in two halves, want 5002", n)
	}
	if n := strings.Count(want[4], "FILE:OLD"); n != 2500 {
		t.Errorf("%d imported bars, want 2500", n)
	}
	run(t, func(c *Config) { c.Feeds, c.Data = nil, data })
	for i := range queries {
		if got := export(i); got != want[i] {
			t.Errorf("query %d: %d bytes through the server, %d without: %.300q and %.300q", i, len(got), len(want[i]), got, want[i])
		}
	}
	for _, name := range []string{"NONE", "FILE:NONE"} {
		q := ExportQuery{Symbols: []string{name}, Kind: market.KindTrade, Format: gateway.FormatCSV}
		if err := Export(t.Context(), IntakeOptions{Data: data}, q, io.Discard); err == nil {
			t.Errorf("%s was exported", name)
		}
	}
}

// BenchmarkExport writes trades of a folder to nowhere.
func BenchmarkExport(b *testing.B) {
	const n = 500_000
	in, err := openOffline(b.Context(), IntakeOptions{Data: folder(b, rows(n, spy, market.Hour)), Logger: discard(nil)})
	if err != nil {
		b.Fatal(err)
	}
	for _, format := range gateway.ExportFormats() {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				if err := exportOffline(b.Context(), in, ExportQuery{Symbols: []string{"SPY"}, Kind: market.KindTrade, Format: format}, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	if err := in.Close(b.Context()); err != nil {
		b.Fatal(fmt.Errorf("close: %w", err))
	}
}
