package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"

	"tapedeck/internal/feed/sim"
	"tapedeck/internal/market"
	"tapedeck/internal/natstape"
	"tapedeck/internal/tape"
)

// ingest is one run of the command.
type ingest struct {
	cmd              *cobra.Command
	rate             float64
	batch            int
	duration, warmup time.Duration
	data             string
}

// ingestReport is what `bench ingest --json` prints; docs/performance.md describes it.
type ingestReport struct {
	Bench   string       `json:"bench"`
	Machine machine      `json:"machine"`
	Lone    appendResult `json:"lone"`
	Bulk    appendResult `json:"bulk"`
	Server  ingestServer `json:"server"`
}

// appendResult is what one writer has appended, each record durable before the next.
type appendResult struct {
	Batch          int      `json:"ticks_per_record"`
	Records        int64    `json:"records"`
	TicksPerSecond float64  `json:"ticks_per_second"`
	Latency        *latency `json:"latency_ms"`
}

// ingestServer is what a whole server has done with a feed.
type ingestServer struct {
	Rate             float64          `json:"asked_ticks_per_second"`
	Seconds          float64          `json:"seconds"`
	Appended         float64          `json:"appended_ticks_per_second"`
	Recorded         float64          `json:"recorded_ticks_per_second"`
	Records          float64          `json:"records_per_second"`
	Syncs            float64          `json:"syncs_per_second"`
	BytesPerTick     float64          `json:"bytes_per_tick"`
	Append           *bucketQuantiles `json:"append_ms"`
	Lag              float64          `json:"records_behind"`
	ServerCPU        *float64         `json:"server_cpu_seconds"`
	ServerCPUMillion *float64         `json:"server_cpu_seconds_per_million_ticks"`
	ServerMemory     *float64         `json:"server_memory_bytes"`
}

// bucketQuantiles are quantiles in ms, as exact as the buckets of a Prometheus histogram allow.
type bucketQuantiles struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
}

func newBenchIngest() *cobra.Command {
	f := new(ingest)
	var (
		rate   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "ingest",
		Short: "Measure how ticks come in: feed, tape, store",
		Long: "Appends to a tape directly, single ticks and then large records, each synced to disk before the next; then lets a\n" +
			"simulated market run into a whole server, and reads from its metrics what it has put on the tape and recorded in history.",
		Example: "  tapedeck bench ingest\n" +
			"  tapedeck bench ingest --rate 200000 --duration 30s --data /var/tmp",
		Args: cobra.NoArgs,
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		f.cmd = cmd
		if err := f.check(rate); err != nil {
			return err
		}
		report, err := f.run()
		if err != nil {
			return fail(exitFailed, err)
		}
		if asJSON {
			return fail(exitFailed, printJSON(cmd.OutOrStdout(), report))
		}
		return fail(exitFailed, report.print(cmd.OutOrStdout()))
	}
	flags := cmd.Flags()
	flags.StringVar(&rate, "rate", "max", "`TICKS` a second of the simulated market, or max")
	flags.IntVar(&f.batch, "batch", 1024, "`NUMBER` of ticks in a large record")
	flags.DurationVar(&f.duration, "duration", 10*time.Second, "`TIME` that the server is measured; direct appends take a fifth of it each")
	flags.DurationVar(&f.warmup, "warmup", time.Second, "`TIME` that the server runs before that")
	flags.StringVar(&f.data, "data", "", "`DIR` below which data is written and removed again (default: temporary files)")
	flags.BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

// check checks the command line.
func (f *ingest) check(rate string) error {
	var err error
	f.rate = sim.MaxRate
	if rate != "max" {
		f.rate, err = strconv.ParseFloat(rate, 64)
	}
	switch {
	case err != nil || math.IsNaN(f.rate) || f.rate < sim.MinRate || f.rate > sim.MaxRate:
		return fmt.Errorf("--rate %q: want ticks a second from %g to %d, or max", rate, sim.MinRate, sim.MaxRate)
	case f.batch < 1 || f.batch > 8192:
		return fmt.Errorf("--batch %d: want 1 to 8,192", f.batch)
	case f.duration < time.Millisecond || f.warmup < 0:
		return fmt.Errorf("--duration %v after --warmup %v: want times above 0", f.duration, f.warmup)
	}
	return nil
}

func (f *ingest) run() (*ingestReport, error) {
	dir, remove, err := scratch(f.data)
	if err != nil {
		return nil, err
	}
	defer remove()
	r := &ingestReport{Bench: "ingest", Machine: thisMachine()}
	if r.Lone, err = f.direct(dir, 1); err != nil {
		return nil, err
	}
	if r.Bulk, err = f.direct(dir, f.batch); err != nil {
		return nil, err
	}
	r.Server, err = f.server(dir)
	return r, err
}

// direct appends records of n ticks to a tape of its own, one after the other.
func (f *ingest) direct(dir string, n int) (r appendResult, err error) {
	folder, err := os.MkdirTemp(dir, "tape-")
	if err != nil {
		return r, err
	}
	log, err := natstape.Open(f.cmd.Context(), natstape.Options{Dir: folder})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, log.Close(), os.RemoveAll(folder)) }()
	h := hdrhistogram.New(1, 60_000_000, 3) // µs
	part := f.duration / 5
	began := time.Now()
	for seq := uint64(1); time.Since(began) < part; seq += uint64(n) {
		batch, err := trades(seq, n)
		if err != nil {
			return r, err
		}
		start := time.Now()
		if _, err := log.Append(f.cmd.Context(), batch); err != nil {
			return r, err
		}
		_ = h.RecordValue(min(max(time.Since(start).Microseconds(), 1), 60_000_000)) // within the bounds it cannot fail
	}
	elapsed := time.Since(began).Seconds()
	return appendResult{n, h.TotalCount(), float64(h.TotalCount()*int64(n)) / elapsed, newLatency(h, 1000)}, nil
}

// trades makes a batch of n trades that begins with the number seq.
func trades(seq uint64, n int) (*tape.Batch, error) {
	size, err := market.NewDecimal(100, 0)
	if err != nil {
		return nil, err
	}
	now := market.FromStd(time.Now())
	b := &tape.Batch{Feed: "bench", Entries: make([]market.Entry, n)}
	for i := range b.Entries {
		price, err := market.NewDecimal(int64(18_742+(seq+uint64(i))*7919%23), -2)
		if err != nil {
			return nil, err
		}
		at := now + market.Time(i)
		b.Entries[i] = market.Trade{
			Symbol: "BENCH:A", Seq: seq + uint64(i), ID: seq + uint64(i), Event: at, Received: at, Price: price, Size: size, Side: market.SideBuy,
		}.Entry()
	}
	return b, nil
}

// server lets a simulated market run into a server.
func (f *ingest) server(dir string) (r ingestServer, err error) {
	server, err := ownServer(f.cmd, dir, fmt.Sprintf("sim://?rate=%g/s&seed=1", f.rate))
	if err != nil {
		return r, err
	}
	defer server.stop()
	w := watch{cmd: f.cmd, child: server, url: server.url}
	if err := pause(f.cmd.Context(), f.warmup); err != nil {
		return r, err
	}
	before, err := scrape(f.cmd, server.url.String())
	if err != nil {
		return r, err
	}
	began, used := time.Now(), w.usage()
	if err := pause(f.cmd.Context(), f.duration); err != nil {
		return r, err
	}
	after, err := scrape(f.cmd, server.url.String())
	if err != nil {
		return r, err
	}
	r.Rate, r.Seconds = f.rate, time.Since(began).Seconds()
	gained := func(name string) float64 { return after[name] - before[name] }
	ticks := gained("tapedeck_tape_entries_total")
	r.Appended = ticks / r.Seconds
	r.Recorded = (gained(`tapedeck_store_rows_total{table="trades"}`) + gained(`tapedeck_store_rows_total{table="quotes"}`)) / r.Seconds
	r.Records = gained("tapedeck_tape_records_total") / r.Seconds
	r.Syncs = gained("tapedeck_tape_sync_batches_total") / r.Seconds
	if ticks > 0 {
		r.BytesPerTick = gained("tapedeck_tape_appended_bytes_total") / ticks
	}
	r.Append = quantiles("tapedeck_tape_append_seconds", before, after)
	r.Lag = after["tapedeck_store_lag_records"]
	if now := w.usage(); used != nil && now != nil {
		cpu := (now.cpu - used.cpu).Seconds()
		memory := float64(now.rss)
		r.ServerCPU, r.ServerMemory = &cpu, &memory
		if ticks > 0 {
			each := cpu / ticks * 1e6
			r.ServerCPUMillion = &each
		}
	}
	return r, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// quantiles reads what a histogram of a server has gained between two readings; nil when that is nothing. Within a bucket values are
// taken to be spread evenly, as Prometheus does.
func quantiles(name string, before, after map[string]float64) *bucketQuantiles {
	type bucket struct{ to, n float64 }
	var buckets []bucket
	for key, v := range after {
		label, ok := strings.CutPrefix(key, name+`_bucket{le="`)
		if !ok {
			continue
		}
		to := math.Inf(1)
		if text := strings.TrimSuffix(label, `"}`); text != "+Inf" {
			var err error
			if to, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		buckets = append(buckets, bucket{to, v - before[key]})
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.to, b.to) })
	if len(buckets) == 0 || buckets[len(buckets)-1].n <= 0 {
		return nil
	}
	all := buckets[len(buckets)-1].n
	at := func(q float64) float64 {
		from, below := 0.0, 0.0
		for _, b := range buckets {
			if b.n >= q*all {
				if math.IsInf(b.to, 1) {
					break // beyond the last border nothing more is known
				}
				return 1000 * (from + (b.to-from)*(q*all-below)/(b.n-below))
			}
			from, below = b.to, b.n
		}
		return 1000 * from
	}
	return &bucketQuantiles{at(.5), at(.99), at(.999)}
}

// print writes the report for people.
func (r *ingestReport) print(w io.Writer) error {
	ms := func(v float64) string { return fmt.Sprintf("%.2f ms", v) }
	ofLatency := func(l *latency, get func(*latency) float64) string {
		if l == nil {
			return "-"
		}
		return ms(get(l))
	}
	rows := [][]string{{"tape, one writer", "lone ticks", fmt.Sprintf("%d a record", r.Bulk.Batch)}}
	rows = append(rows, []string{"ticks/s, durable", count(r.Lone.TicksPerSecond), count(r.Bulk.TicksPerSecond)})
	for _, q := range []struct {
		name string
		get  func(*latency) float64
	}{
		{"append p50", func(l *latency) float64 { return l.P50 }},
		{"append p99", func(l *latency) float64 { return l.P99 }},
		{"append p99.9", func(l *latency) float64 { return l.P999 }},
	} {
		rows = append(rows, []string{q.name, ofLatency(r.Lone.Latency, q.get), ofLatency(r.Bulk.Latency, q.get)})
	}
	s := &r.Server
	rows = append(rows, nil, []string{"whole server", fmt.Sprintf("%s asked", count(s.Rate))},
		[]string{"ticks/s onto the tape", count(s.Appended)}, []string{"ticks/s into history", count(s.Recorded)},
		[]string{"ticks a record", fmt.Sprintf("%.1f", s.Appended/max(s.Records, 1))}, []string{"syncs/s", count(s.Syncs)},
		[]string{"bytes a tick on the tape", fmt.Sprintf("%.1f", s.BytesPerTick)})
	if s.Append != nil {
		rows = append(rows, []string{"append p50", ms(s.Append.P50)}, []string{"append p99", ms(s.Append.P99)}, []string{"append p99.9", ms(s.Append.P999)})
	}
	seconds := func(v float64) string { return fmt.Sprintf("%.2f s", v) }
	rows = append(rows, []string{"records that history is behind", count(s.Lag)}, []string{"server CPU", optional(s.ServerCPU, seconds)},
		[]string{"server CPU / 1,000,000 ticks", optional(s.ServerCPUMillion, seconds)}, []string{"server memory", optional(s.ServerMemory, bytesText)},
		[]string{"measured", seconds(s.Seconds)})
	fmt.Fprintf(w, "%s %s/%s, %d CPUs\n\n", r.Machine.Go, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs)
	return printRows(w, rows)
}
