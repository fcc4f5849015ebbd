package main

import (
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tapedeck/internal/load"
)

// fanoutReport is what `bench fanout --json` prints; docs/performance.md describes it.
type fanoutReport struct {
	Bench     string      `json:"bench"`
	Machine   machine     `json:"machine"`
	Clients   int         `json:"clients"`
	Symbols   int         `json:"symbols"`
	Subscribe string      `json:"subscribe"`
	Encoding  string      `json:"encoding"`
	Compress  bool        `json:"compress"`
	Idle      bool        `json:"idle"`
	Warmup    float64     `json:"warmup_seconds"`
	Runs      []fanoutRun `json:"runs"`
	Ratio     float64     `json:"deliveries_ratio,omitempty"`
}

// fanoutRun is what was measured of one server.
type fanoutRun struct {
	Server              string           `json:"server"`
	Rate                float64          `json:"ticks_per_second"`
	Seconds             float64          `json:"seconds"`
	Deliveries          uint64           `json:"deliveries"`
	DeliveriesPerSecond float64          `json:"deliveries_per_second"`
	BytesPerSecond      float64          `json:"bytes_per_second"`
	FramesPerSecond     float64          `json:"frames_per_second"`
	ReadsPerSecond      float64          `json:"reads_per_second"`
	Latency             *latency         `json:"latency_ms"`
	Append              *bucketQuantiles `json:"append_ms"`
	ServerCPU           *float64         `json:"server_cpu_seconds"`
	ServerCPUMillion    *float64         `json:"server_cpu_seconds_per_million_deliveries"`
	LoadCPU             *float64         `json:"load_cpu_seconds"`
	ServerMemory        *float64         `json:"server_memory_bytes"`
	ConnectionMemory    *float64         `json:"memory_bytes_per_connection"`
	Losses              uint64           `json:"losses"`
	OrderErrors         uint64           `json:"order_errors"`
	ConnectionsLost     uint64           `json:"connections_lost"`
	LostReason          string           `json:"lost_reason,omitempty"`
	Behind              uint64           `json:"ticks_behind"`
	Checked             int              `json:"connections_checked_in_full"`
	Tried               []searchStep     `json:"tried,omitempty"`

	expected float64 // deliveries a second
	silent   string  // what was subscribed to at a server that runs, when nothing of it came
}

// latency is a distribution in ms.
type latency struct {
	P50     float64 `json:"p50"`
	P90     float64 `json:"p90"`
	P99     float64 `json:"p99"`
	P999    float64 `json:"p99.9"`
	Max     float64 `json:"max"`
	Samples int64   `json:"samples"`
}

// newLatency reads a histogram whose unit is 1/perMs of a millisecond; nil when it is empty.
func newLatency(h *hdrhistogram.Histogram, perMs float64) *latency {
	if h.TotalCount() == 0 {
		return nil
	}
	q := func(percent float64) float64 { return float64(h.ValueAtQuantile(percent)) / perMs }
	return &latency{q(50), q(90), q(99), q(99.9), float64(h.Max()) / perMs, h.TotalCount()}
}

func (f *fanout) report() *fanoutReport {
	choose := func(second bool, a, b string) string {
		if second {
			return b
		}
		return a
	}
	return &fanoutReport{
		Bench: "fanout", Machine: thisMachine(), Clients: f.clients, Symbols: len(f.names), Subscribe: choose(f.one, "all", "one"),
		Encoding: choose(f.packed, "json", "msgpack"), Compress: f.compress, Idle: f.idle, Warmup: f.warmup.Seconds(),
	}
}

func newFanoutRun(name string, rate float64, f *fanout, r *load.Result, w *watch) fanoutRun {
	seconds := r.Elapsed.Seconds()
	run := fanoutRun{
		Server: name, Rate: rate, Seconds: seconds, Deliveries: r.Ticks, DeliveriesPerSecond: float64(r.Ticks) / seconds,
		BytesPerSecond: float64(r.Bytes) / seconds, FramesPerSecond: float64(r.Frames) / seconds, ReadsPerSecond: float64(r.Reads) / seconds,
		Latency: newLatency(r.Latency, 1000), Losses: r.Losses, OrderErrors: r.OrderErrors, ConnectionsLost: r.Lost, Behind: r.Behind,
		Checked: r.Checked, Append: w.appended,
	}
	if r.LostWhy != nil {
		run.LostReason = r.LostWhy.Error()
	}
	if w.begin != nil && w.end != nil {
		cpu := (w.end.cpu - w.begin.cpu).Seconds()
		run.ServerCPU = &cpu
		if r.Ticks > 0 {
			each := cpu / float64(r.Ticks) * 1e6
			run.ServerCPUMillion = &each
		}
		memory := float64(w.end.rss)
		run.ServerMemory = &memory
	}
	if w.loadCPU != nil {
		cpu := w.loadCPU.Seconds()
		run.LoadCPU = &cpu
	}
	if w.empty != nil && w.connected != nil {
		each := float64(w.connected.rss-w.empty.rss) / float64(f.clients)
		run.ConnectionMemory = &each
	}
	share := 1.0 // of the ticks that a client sees
	if f.one {
		share = 1 / float64(len(f.names))
	}
	run.expected = rate * float64(f.clients) * share
	if w.child == nil {
		// The server has a rate of its own.
		run.Rate = run.DeliveriesPerSecond / float64(f.clients) / share
	}
	return run
}

// step says what the run has shown of its rate: it was kept up with if 99 of 100 ticks arrived within the bound.
func (r *fanoutRun) step(bound time.Duration) searchStep {
	s := searchStep{Rate: r.Rate, DeliveriesPerSecond: r.DeliveriesPerSecond}
	if r.Latency != nil {
		s.P99 = r.Latency.P99
		s.Kept = r.DeliveriesPerSecond >= keptPart*r.expected && s.P99 <= float64(bound)/float64(time.Millisecond) && r.wrong() == nil
	}
	return s
}

// wrong says what must never be in a run.
func (r *fanoutRun) wrong() error {
	switch {
	case r.Losses > 0 || r.OrderErrors > 0:
		return fmt.Errorf("%s: %d ticks were lost and %d came twice or out of order", r.Server, r.Losses, r.OrderErrors)
	case r.ConnectionsLost > 0:
		return fmt.Errorf("%s: %d connections were lost: %s", r.Server, r.ConnectionsLost, r.LostReason)
	case r.silent != "":
		return fmt.Errorf("%s: not one tick of %s came: does that server have them (--symbols), and do they trade?", r.Server, r.silent)
	}
	return nil
}

// verdict says whether a run went wrong.
func (r *fanoutReport) verdict() error {
	for i := range r.Runs {
		if err := r.Runs[i].wrong(); err != nil {
			return err
		}
	}
	return nil
}

// print writes the report for people.
func (r *fanoutReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%d clients, %d symbols, each subscribed to %s, %s%s; %s %s/%s, %d CPUs\n\n",
		r.Clients, r.Symbols, map[bool]string{false: r.Subscribe, true: "nothing"}[r.Idle], r.Encoding,
		map[bool]string{true: ", compression offered"}[r.Compress], r.Machine.Go, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs)
	seconds := func(v float64) string { return fmt.Sprintf("%.2f s", v) }
	ms := func(get func(*latency) float64) func(*fanoutRun) string {
		return func(r *fanoutRun) string {
			if r.Latency == nil {
				return "-"
			}
			return fmt.Sprintf("%.2f ms", get(r.Latency))
		}
	}
	ofAppend := func(get func(*bucketQuantiles) float64) func(*fanoutRun) string {
		return func(r *fanoutRun) string {
			if r.Append == nil {
				return "-"
			}
			return fmt.Sprintf("%.2f ms", get(r.Append))
		}
	}
	var rows [][]string
	for _, row := range []struct {
		name string
		text func(*fanoutRun) string
	}{
		{"", func(r *fanoutRun) string { return r.Server }},
		{"ticks/s", func(r *fanoutRun) string { return count(r.Rate) }},
		{"deliveries/s", func(r *fanoutRun) string { return count(r.DeliveriesPerSecond) }},
		{"bytes/s", func(r *fanoutRun) string { return bytesText(r.BytesPerSecond) }},
		{"frames/s", func(r *fanoutRun) string { return count(r.FramesPerSecond) }},
		{"latency p50", ms(func(l *latency) float64 { return l.P50 })},
		{"latency p90", ms(func(l *latency) float64 { return l.P90 })},
		{"latency p99", ms(func(l *latency) float64 { return l.P99 })},
		{"latency p99.9", ms(func(l *latency) float64 { return l.P999 })},
		{"latency max", ms(func(l *latency) float64 { return l.Max })},
		{"of which append to the tape p50", ofAppend(func(q *bucketQuantiles) float64 { return q.P50 })},
		{"of which append to the tape p99", ofAppend(func(q *bucketQuantiles) float64 { return q.P99 })},
		{"server CPU", func(r *fanoutRun) string { return optional(r.ServerCPU, seconds) }},
		{"server CPU / 1,000,000 deliveries", func(r *fanoutRun) string { return optional(r.ServerCPUMillion, seconds) }},
		{"load generator CPU", func(r *fanoutRun) string { return optional(r.LoadCPU, seconds) }},
		{"server memory", func(r *fanoutRun) string { return optional(r.ServerMemory, bytesText) }},
		{"memory / connection", func(r *fanoutRun) string { return optional(r.ConnectionMemory, bytesText) }},
		{"losses", func(r *fanoutRun) string { return count(float64(r.Losses)) }},
		{"order errors", func(r *fanoutRun) string { return count(float64(r.OrderErrors)) }},
		{"connections lost", func(r *fanoutRun) string { return count(float64(r.ConnectionsLost)) }},
		{"ticks behind at the end", func(r *fanoutRun) string { return count(float64(r.Behind)) }},
		{"connections checked in full", func(r *fanoutRun) string { return count(float64(r.Checked)) }},
		{"measured", func(r *fanoutRun) string { return (time.Duration(r.Seconds*1e3) * time.Millisecond).String() }},
	} {
		cells := []string{row.name}
		for i := range r.Runs {
			cells = append(cells, row.text(&r.Runs[i]))
		}
		rows = append(rows, cells)
	}
	if r.Ratio > 0 {
		rows = append(rows, []string{"deliveries, times the peer's", fmt.Sprintf("%.1f", r.Ratio)})
	}
	return printRows(w, rows)
}
