package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
	"tapedeck/internal/server"
)

func newExport() *cobra.Command {
	var (
		config, data, base, out string
		symbols, kind, interval string
		from, to, format        string
		options                 server.IntakeOptions
	)
	cmd := &cobra.Command{
		Use:   "export --symbol S[,S] -o FILE",
		Short: "Write trades, quotes or bars of history to a file",
		Long: "Writes what history has of some symbols to a file, or with -o - to the standard output: CSV, JSON lines, Parquet or an Arrow\n" +
			"stream. When a server runs on the data folder it is asked, otherwise the folder is read. The file appears under its name when\n" +
			"it is whole. A time is RFC 3339, a date (its midnight in UTC), an epoch, or how long ago, such as 24h.",
		Example: "  tapedeck export --symbol SIM:AAPL --from 24h -o aapl.csv\n" +
			"  tapedeck export --symbol SPY,QQQ --kind bars --interval 1d --format parquet -o days.parquet\n" +
			"  tapedeck export --symbol COINBASE:BTC-USD --from 2026-11-01 --to 2026-12-01 --format jsonl -o - | jq .price",
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&symbols, "symbol", "", "`SYMBOLS`, separated by commas")
	flags.StringVar(&kind, "kind", "trades", "trades, quotes or bars")
	flags.StringVar(&interval, "interval", "1m", "of bars: 1s to 12M")
	flags.StringVar(&from, "from", "", "`TIME` to begin at")
	flags.StringVar(&to, "to", "", "`TIME` to end before")
	flags.StringVar(&format, "format", "", "csv, jsonl, parquet or arrow (default by the name of the file, else csv)")
	flags.StringVarP(&out, "output", "o", "", "`FILE` to write, - for the standard output")
	flags.StringVar(&config, "config", "", "configuration `FILE` that names the data folder")
	flags.StringVar(&data, "data", "", "`DIR` of the tape and the store")
	flags.StringVar(&base, "url", "", "`URL` of a server to ask")
	for _, name := range []string{"symbol", "output"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q, err := exportQuery(symbols, kind, interval, from, to, time.Now())
		if err != nil {
			return err
		}
		if q.Format, err = exportFormat(format, out); err != nil {
			return err
		}
		options.URL, options.Data = base, data
		if base == "" {
			c, err := server.Load(config, os.Environ(), nil)
			if err != nil {
				return fail(exitConfig, err)
			}
			options.Calendars, options.Rules = c.Calendars, c.Rules
			if data == "" {
				options.Data = c.Data
			}
			if _, err := os.Stat(options.Data); err != nil {
				return fail(exitConfig, fmt.Errorf("data folder: %w", err))
			}
		}
		err = export(cmd.Context(), cmd, options, q, out)
		if errors.Is(err, server.ErrRefused) {
			return fail(exitConfig, err)
		}
		return fail(exitFailed, err)
	}
	return cmd
}

// exportQuery reads what is to be exported.
func exportQuery(symbols, kind, interval, from, to string, now time.Time) (q server.ExportQuery, err error) {
	q.Symbols = strings.FieldsFunc(symbols, func(r rune) bool { return r == ',' || r == ' ' })
	if len(q.Symbols) == 0 {
		return q, errors.New("--symbol names none")
	}
	kinds := map[string]market.Kind{"trades": market.KindTrade, "quotes": market.KindQuote, "bars": market.KindBar}
	if q.Kind = kinds[kind]; q.Kind == 0 {
		return q, fmt.Errorf("--kind %s: want trades, quotes or bars", kind)
	}
	if q.Interval, err = market.ParseInterval(interval); err != nil {
		return q, fmt.Errorf("--interval: %w", err)
	}
	if q.From, err = exportTime(from, now); err != nil {
		return q, fmt.Errorf("--from: %w", err)
	}
	if q.To, err = exportTime(to, now); err != nil {
		return q, fmt.Errorf("--to: %w", err)
	}
	if q.To != 0 && q.To <= q.From {
		return q, fmt.Errorf("--to %s is not after --from %s", to, from)
	}
	return q, nil
}

// exportTime reads a time: RFC 3339, a date, an epoch in seconds to nanoseconds, or how long ago. None is 0.
func exportTime(text string, now time.Time) (market.Time, error) {
	if text == "" {
		return 0, nil
	}
	if ago, err := time.ParseDuration(strings.TrimPrefix(text, "-")); err == nil && ago >= 0 {
		return market.FromStd(now.Add(-ago)), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return market.FromStd(t), nil
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no time such as 2026-11-23T14:30:00Z, 2026-11-23, 1795444200 or 24h", text)
	}
	// Epochs of so many digits begin in 2001 and end in 2286, in all four units.
	unit := market.Time(1)
	switch {
	case n < 1e11:
		unit = market.Second
	case n < 1e14:
		unit = 1_000_000
	case n < 1e17:
		unit = 1000
	}
	if n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q is beyond the year 2262", text)
	}
	return market.Time(n) * unit, nil
}

// exportFormat is the format that was asked for, or the one that the name of the file says.
func exportFormat(format, out string) (string, error) {
	known := gateway.ExportFormats()
	if format == "" {
		format = strings.TrimPrefix(strings.ToLower(filepath.Ext(out)), ".")
		if format == "" || out == "-" {
			return known[0], nil
		}
	}
	if !slices.Contains(known, format) {
		return "", fmt.Errorf("format %q: want %s", format, strings.Join(known, ", "))
	}
	return format, nil
}

// export writes the file, under a temporary name until it is whole and on the disk.
func export(ctx context.Context, cmd *cobra.Command, o server.IntakeOptions, q server.ExportQuery, out string) error {
	if out == "-" {
		return server.Export(ctx, o, q, cmd.OutOrStdout())
	}
	folder := filepath.Dir(out)
	part := filepath.Join(folder, fmt.Sprintf(".%s.%d.part", filepath.Base(out), os.Getpid()))
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	c := &counted{w: f}
	stop := showBytes(cmd.ErrOrStderr(), &c.n)
	err = server.Export(ctx, o, q, c)
	stop()
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(part, out)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := syncFolder(folder); err != nil {
		return fmt.Errorf("sync %s: %w", folder, err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", out, megabytes(c.n.Load()))
	return nil
}

// counted counts what goes through it.
type counted struct {
	w io.Writer
	n atomic.Int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// showBytes shows on a terminal, twice a second, how much was written. The function that it returns ends that.
func showBytes(w io.Writer, n *atomic.Int64) (stop func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Second / 2)
		defer ticker.Stop()
		for began := time.Now(); ; {
			select {
			case <-ended:
				fmt.Fprint(w, "\r\x1b[K")
				return
			case <-ticker.C:
				all := n.Load()
				fmt.Fprintf(w, "\r\x1b[K%s, %s/s", megabytes(all), megabytes(int64(float64(all)/time.Since(began).Seconds())))
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}

func megabytes(n int64) string {
	if n < 10_000 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.2f MB", float64(n)/1e6)
}

// syncFolder makes the names in a folder durable. Windows does that by itself.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
