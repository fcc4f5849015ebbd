package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapedeck/internal/feed/sim"
	"tapedeck/internal/load"
)

// fanout is one run of the command.
type fanout struct {
	cmd      *cobra.Command
	clients  int
	rate     float64 // ticks a second; 0 is the most that can be kept up with
	names    []string
	one      bool // each client subscribes to one symbol, else to all
	duration time.Duration
	warmup   time.Duration
	bound    time.Duration // of the p99 that counts as keeping up
	packed   bool
	compress bool
	idle     bool
	check    load.Check
	loops    int
	url      *url.URL // of a server that runs already; nil to start one
	peer     []string
	data     string
	dir      string // where servers of ours write
}

// fanoutFlags are what the command line says, before it is checked.
type fanoutFlags struct {
	clients, loops                                             int
	rate, symbols, subscribe, encoding, check, url, peer, data string
	duration, warmup, bound                                    time.Duration
	compress, idle, asJSON                                     bool
}

func newBenchFanout() *cobra.Command {
	var o fanoutFlags
	cmd := &cobra.Command{
		Use:   "fanout",
		Short: "Measure how ticks reach many clients",
		Long: "Starts a server with a simulated market, connects clients to it that count every tick, and prints deliveries a second,\n" +
			"latency from the stamp of receipt to the client's read (the sync to disk is within), the server's processor time and\n" +
			"memory, and what was lost or out of order. Server and clients share the machine. With --rate max it looks for the\n" +
			"highest rate that every client keeps up with. It ends with 1 when anything was lost, doubled or disconnected.",
		Example: "  tapedeck bench fanout --clients 1000 --rate 1000\n" +
			"  tapedeck bench fanout --clients 1000 --rate max --peer 'go run -C bench ./gorilla'\n" +
			"  tapedeck bench fanout --clients 10000 --idle --json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := o.fanout(cmd)
			if err != nil {
				return err
			}
			report, err := f.run()
			if err != nil {
				return fail(exitFailed, err)
			}
			if o.asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.print(cmd.OutOrStdout())
			}
			return fail(exitFailed, cmp.Or(err, report.verdict()))
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.clients, "clients", 1000, "`NUMBER` of connections")
	flags.StringVar(&o.rate, "rate", "1000", "`TICKS` a second of all symbols together, or max")
	flags.DurationVar(&o.bound, "max-p99", time.Second, "`TIME` within which 99 of 100 ticks must arrive at --rate max")
	flags.StringVar(&o.symbols, "symbols", "1", "`NUMBER` of symbols, or their names, separated by commas")
	flags.StringVar(&o.subscribe, "subscribe", "all", "each client subscribes to `all` symbols, or to one")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "`TIME` that is measured")
	flags.DurationVar(&o.warmup, "warmup", 2*time.Second, "`TIME` before that")
	flags.StringVar(&o.encoding, "encoding", "json", "`FORMAT` json or msgpack")
	flags.BoolVar(&o.compress, "compress", false, "offer permessage-deflate")
	flags.BoolVar(&o.idle, "idle", false, "connect and subscribe to nothing: what a connection costs")
	flags.StringVar(&o.check, "check", "all", "look at every tick on `all` connections, or on a sample (one in sixteen) and at runs of ticks on the others")
	flags.IntVar(&o.loops, "loops", 1, "`NUMBER` of goroutines that read for the clients")
	flags.StringVar(&o.url, "url", "", "`URL` of a server that runs already (default: start one)")
	flags.StringVar(&o.peer, "peer", "", "`COMMAND` of another server, which is measured next and shown beside the first")
	flags.StringVar(&o.data, "data", "", "`DIR` below which the server's data is written and removed again (default: temporary files)")
	flags.BoolVar(&o.asJSON, "json", false, "print the report as JSON")
	return cmd
}

// fanout checks the command line.
func (o *fanoutFlags) fanout(cmd *cobra.Command) (*fanout, error) {
	f := &fanout{
		cmd: cmd, clients: o.clients, duration: o.duration, warmup: o.warmup, bound: o.bound, compress: o.compress, idle: o.idle, loops: o.loops,
		peer: strings.Fields(o.peer), data: o.data,
	}
	switch {
	case o.clients < 1 || o.clients > 1_000_000:
		return nil, fmt.Errorf("--clients %d: want 1 to 1,000,000", o.clients)
	case o.duration < time.Millisecond || o.warmup < 0:
		return nil, fmt.Errorf("--duration %v after --warmup %v: want times above 0", o.duration, o.warmup)
	case o.bound <= 0:
		return nil, fmt.Errorf("--max-p99 %v: want a time above 0", o.bound)
	case o.loops < 1 || o.loops > 64:
		return nil, fmt.Errorf("--loops %d: want 1 to 64", o.loops)
	}
	for _, choice := range []struct {
		flag, value string
		of          [2]string
		second      *bool
	}{
		{"subscribe", o.subscribe, [2]string{"all", "one"}, &f.one},
		{"encoding", o.encoding, [2]string{"json", "msgpack"}, &f.packed},
		{"check", o.check, [2]string{"all", "sample"}, nil},
	} {
		if choice.value != choice.of[0] && choice.value != choice.of[1] {
			return nil, fmt.Errorf("--%s %q: want %s or %s", choice.flag, choice.value, choice.of[0], choice.of[1])
		}
		if choice.second != nil {
			*choice.second = choice.value == choice.of[1]
		}
	}
	if o.check == "sample" {
		f.check = load.CheckSample
	}
	return f, errors.Join(f.setRate(o), f.setSymbols(o.symbols), f.setURL(o.url))
}

// idleRate is that of the market while nobody is subscribed to it: so slow that its memory is not mistaken for that of connections.
const idleRate = 1

func (f *fanout) setRate(o *fanoutFlags) error {
	switch {
	case o.idle && f.cmd.Flags().Changed("rate"):
		return errors.New("--idle and --rate: idle clients see no ticks")
	case o.idle:
		f.rate = idleRate
		return nil
	case o.url != "" && o.peer == "" && f.cmd.Flags().Changed("rate") && o.rate != "max":
		return errors.New("--rate and --url: the server that runs has a rate of its own")
	case o.rate == "max" && o.url != "":
		return errors.New("--rate max needs a server of its own: leave out --url")
	case o.rate == "max":
		return nil
	}
	rate, err := strconv.ParseFloat(o.rate, 64)
	if err != nil || math.IsNaN(rate) || rate < sim.MinRate || rate > sim.MaxRate {
		return fmt.Errorf("--rate %q: want ticks a second from %g to %d, or max", o.rate, sim.MinRate, sim.MaxRate)
	}
	f.rate = rate
	return nil
}

func (f *fanout) setSymbols(text string) error {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		f.names = strings.Split(text, ",")
		for _, name := range f.names {
			if name == "" || strings.ContainsAny(name, " &?#%") {
				return fmt.Errorf("--symbols %q: want a number, or names such as AAPL,MSFT", text)
			}
		}
	case n < 1 || n > sim.MaxSymbols:
		return fmt.Errorf("--symbols %d: want 1 to %d", n, sim.MaxSymbols)
	case n == 1:
		f.names = []string{"AAPL"}
	default:
		for i := range n {
			f.names = append(f.names, fmt.Sprintf("S%04d", i))
		}
	}
	return nil
}

func (f *fanout) setURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--url %q is not a URL such as http://127.0.0.1:8000", text)
	}
	f.url = u
	return nil
}

// symbols returns what a client subscribes to.
func (f *fanout) symbols(client int) []string {
	if !f.one {
		return []string{"*"}
	}
	name := f.names[client%len(f.names)]
	if f.url == nil {
		name = "SIM:" + name
	}
	return []string{name}
}

// run measures the server, and its peer after it.
func (f *fanout) run() (*fanoutReport, error) {
	// What this process and the server have open beside the clients' connections.
	const others = 256
	if err := allowDescriptors(f.clients + others); err != nil {
		return nil, err
	}
	dir, remove, err := scratch(f.data)
	if err != nil {
		return nil, err
	}
	defer remove()
	f.dir = dir
	report := f.report()
	first, err := f.measure("tapedeck", f.own)
	if err != nil {
		return nil, err
	}
	report.Runs = append(report.Runs, first)
	if len(f.peer) > 0 {
		second, err := f.measure("peer", f.other)
		if err != nil {
			return nil, fmt.Errorf("peer %s: %w", strings.Join(f.peer, " "), err)
		}
		report.Runs = append(report.Runs, second)
		if second.DeliveriesPerSecond > 0 {
			report.Ratio = first.DeliveriesPerSecond / second.DeliveriesPerSecond
		}
	}
	return report, nil
}

// own starts a Tapedeck; nothing is started when it runs already.
func (f *fanout) own(rate float64) (*child, error) {
	if f.url != nil {
		return nil, nil
	}
	feed := fmt.Sprintf("sim://?symbols=%s&rate=%g/s&quotes=false&seed=1", strings.Join(f.names, ","), rate)
	most := strconv.Itoa(f.clients + 16)
	return ownServer(f.cmd, f.dir, feed, "TAPEDECK_LIMITS_CONNECTIONS="+most, "TAPEDECK_LIMITS_CONNECTIONS_PER_ADDRESS="+most)
}

// other starts the peer.
func (f *fanout) other(rate float64) (*child, error) {
	args := append(append([]string(nil), f.peer[1:]...), "--listen", "127.0.0.1:0", "--rate", fmt.Sprintf("%g", rate), "--symbols", strings.Join(f.names, ","))
	return startChild(exec.CommandContext(f.cmd.Context(), f.peer[0], args...))
}

// measure runs the load against one server.
func (f *fanout) measure(name string, start func(rate float64) (*child, error)) (fanoutRun, error) {
	if f.rate > 0 {
		return f.once(name, f.rate, f.warmup, f.duration, start)
	}
	return f.search(name, start)
}

// once runs the load against one server at one rate.
func (f *fanout) once(name string, rate float64, warmup, duration time.Duration, start func(rate float64) (*child, error)) (fanoutRun, error) {
	server, err := start(rate)
	if err != nil {
		return fanoutRun{}, err
	}
	w := watch{cmd: f.cmd, child: server, url: f.url}
	if server != nil {
		defer server.stop()
		w.url = server.url
	}
	o := load.Options{
		URL: w.url, Clients: f.clients, MessagePack: f.packed, Deflate: f.compress, Check: f.check, Loops: f.loops,
		Warmup: warmup, Duration: duration, Phase: w.phase, Symbols: f.symbols,
	}
	if f.idle {
		o.Symbols = nil
		w.settle = settle
	}
	if err := w.before(); err != nil {
		return fanoutRun{}, err
	}
	result, err := load.Run(f.cmd.Context(), o)
	if err != nil {
		return fanoutRun{}, err
	}
	run := newFanoutRun(name, rate, f, &result, &w)
	if f.url != nil && server == nil && !f.idle && run.Deliveries == 0 {
		run.silent = "all symbols"
		if f.one {
			run.silent = strings.Join(f.names[:min(len(f.names), 10)], ", ")
		}
	}
	return run, nil
}

// settle waits until the server has thrown away what opening connections has left behind: its collector runs when it has worked, so it is
// given some work.
func settle(w *watch) error {
	const requests, cycles = 300, 2
	begun := -1.0
	for range requests {
		// A peer without metrics works as well when it says so.
		values, err := scrape(w.cmd, w.url.String())
		if err := context.Cause(w.cmd.Context()); err != nil {
			return err
		}
		if n, ok := values["go_gc_duration_seconds_count"]; err == nil && ok {
			if begun < 0 {
				begun = n
			}
			if n >= begun+cycles {
				break
			}
		}
	}
	return nil
}
