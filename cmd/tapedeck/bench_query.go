package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"

	"tapedeck/internal/market"
)

// query is one run of the command.
type query struct {
	cmd      *cobra.Command
	ticks    int
	symbols  int
	days     int
	requests int
	rate     float64 // ticks a second that come in while it is measured again; 0: it is not
	data     string
	folder   string // with a server's data that were made before; empty: they are made anew
}

// queryReport is what `bench query --json` prints; docs/performance.md describes it.
type queryReport struct {
	Bench    string        `json:"bench"`
	Machine  machine       `json:"machine"`
	Ticks    int           `json:"ticks"`
	Symbols  int           `json:"symbols"`
	Days     int           `json:"days"`
	Filling  *queryFilling `json:"filling,omitempty"`
	Rate     float64       `json:"busy_ticks_per_second,omitempty"`
	Requests int           `json:"requests_each"`
	Answers  []queryAnswer `json:"answers"`
	Exports  []queryExport `json:"exports"`
}

// queryFilling is how the data came about, and what they take.
type queryFilling struct {
	AppendSeconds float64 `json:"append_seconds"`
	RecordSeconds float64 `json:"record_seconds"`
	TapeBytes     float64 `json:"tape_bytes_per_tick"`
	StoreBytes    float64 `json:"store_bytes_per_tick"` // bars and all
}

// queryAnswer is how long one kind of question took to be answered, from the request to the last byte.
type queryAnswer struct {
	Question string   `json:"question"`
	Rows     int      `json:"rows"` // of a usual answer
	Idle     *latency `json:"idle_ms"`
	Busy     *latency `json:"busy_ms,omitempty"` // while ticks come in
}

// queryExport is how fast an export went.
type queryExport struct {
	What          string  `json:"what"`
	Rows          int     `json:"rows"`
	RowsPerSecond float64 `json:"rows_per_second"`
	BytesPerRow   float64 `json:"bytes_per_row"`
}

func newBenchQuery() *cobra.Command {
	f := new(query)
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Measure how history answers: charts, latest prices, spans of ticks, exports",
		Long: "Makes a tape of trades and quotes of many symbols, records it, starts a server on it, and asks it over HTTP what screens and\n" +
			"programs ask: the newest 500 bars of a symbol at each interval, the latest of all symbols, 10,000 ticks of a span, an export.\n" +
			"With --busy it asks again while a simulated market writes so many ticks a second.",
		Example: "  tapedeck bench query --ticks 2000000 --symbols 100\n" +
			"  tapedeck bench query --ticks 50000000 --symbols 500 --busy 100000 --data /var/tmp --keep /var/tmp/fifty",
		Args: cobra.NoArgs,
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		f.cmd = cmd
		if err := f.check(); err != nil {
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
	flags.IntVar(&f.ticks, "ticks", 5_000_000, "`NUMBER` of ticks that are stored")
	flags.IntVar(&f.symbols, "symbols", 500, "`NUMBER` of symbols that they are of")
	flags.IntVar(&f.days, "days", 5, "`NUMBER` of days that they are spread over")
	flags.IntVar(&f.requests, "requests", 200, "`NUMBER` of times that each question is asked")
	flags.Float64Var(&f.rate, "busy", 0, "ask again while so many `TICKS` a second come in")
	flags.StringVar(&f.data, "data", "", "`DIR` below which data is written and removed again (default: temporary files)")
	flags.StringVar(&f.folder, "keep", "", "keep the data in `DIR`, and use what an earlier run left there")
	flags.BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

// check checks the command line.
func (f *query) check() error {
	switch {
	case f.symbols < 1 || f.symbols > 10_000:
		return fmt.Errorf("--symbols %d: want 1 to 10,000", f.symbols)
	case f.ticks < 2*f.symbols || f.ticks > 1_000_000_000:
		return fmt.Errorf("--ticks %d: want two a symbol at least, and 1,000,000,000 at most", f.ticks)
	case f.days < 1 || f.days > 10_000:
		return fmt.Errorf("--days %d: want 1 to 10,000", f.days)
	case f.requests < 1:
		return fmt.Errorf("--requests %d: want 1 or more", f.requests)
	case f.rate < 0:
		return fmt.Errorf("--busy %g: want ticks a second", f.rate)
	}
	return nil
}

// symbol is the i-th symbol of the data.
func (f *query) symbol(i int) market.Symbol {
	return market.Symbol("BENCH:" + f.name(i))
}

func (f *query) name(i int) string { return fmt.Sprintf("Q%04d", i) }

func (f *query) run() (_ *queryReport, err error) {
	dir, remove, err := scratch(f.data)
	if err != nil {
		return nil, err
	}
	defer remove()
	r := &queryReport{
		Bench: "query", Machine: thisMachine(), Ticks: f.ticks, Symbols: f.symbols, Days: f.days, Requests: f.requests, Rate: f.rate,
	}
	folder := f.folder
	if folder == "" {
		folder = filepath.Join(dir, "data")
	}
	end := market.FromStd(time.Now()) - market.Minute
	if _, err := os.Stat(filepath.Join(folder, "store.db")); errors.Is(err, os.ErrNotExist) {
		if r.Filling, err = f.fill(folder, end); err != nil {
			return nil, fmt.Errorf("make the data: %w", err)
		}
	}
	if err := f.ask(r, dir, folder, 0); err != nil {
		return nil, err
	}
	if f.rate > 0 {
		if err := f.ask(r, dir, folder, f.rate); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// ask starts a server on the data and asks it everything, while ticks come in at a rate.
func (f *query) ask(r *queryReport, dir, folder string, rate float64) error {
	feed := ""
	if rate > 0 {
		feed = fmt.Sprintf("sim://?rate=%g/s&seed=1", rate)
	}
	server, err := serverOn(f.cmd, dir, folder, feed, "TAPEDECK_LIMITS_SUBSCRIPTIONS="+strconv.Itoa(max(f.symbols, 1000)))
	if err != nil {
		return err
	}
	defer server.stop()
	c := &client{ctx: f.cmd.Context(), base: server.url}
	newest, err := f.newest(c)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i, q := range f.questions(newest) {
		answer, err := f.measure(c, q, rng)
		if err != nil {
			return err
		}
		if rate > 0 {
			r.Answers[i].Busy = answer.Idle
			continue
		}
		r.Answers = append(r.Answers, answer)
	}
	if rate > 0 {
		return nil
	}
	for _, format := range []string{"csv", "jsonl", "parquet", "arrow"} {
		e, err := f.export(c, format)
		if err != nil {
			return err
		}
		r.Exports = append(r.Exports, e)
	}
	return nil
}

// question is what is asked again and again, each time of a symbol and a span by chance.
type question struct {
	name string
	rows string // what a row of the answer begins with
	path func(rng *rand.Rand) string
}

// questions are what is asked of data that end at a time.
func (f *query) questions(newest market.Time) []question {
	var list []question
	one := func(rng *rand.Rand) string { return string(f.symbol(rng.IntN(f.symbols))) }
	for _, v := range []string{
		"1Sec", "5Sec", "15Sec", "30Sec", "1Min", "5Min", "15Min", "30Min", "1Hour", "2Hour", "4Hour", "1Day", "1Week", "1Month",
	} {
		list = append(list, question{"500 bars of " + v, `"o":`, func(rng *rand.Rand) string {
			return "/v2/stocks/" + one(rng) + "/bars?limit=500&sort=desc&start=1980-01-01&timeframe=" + v
		}})
	}
	names := make([]string, f.symbols)
	for i := range names {
		names[i] = f.name(i)
	}
	all := strings.Join(names, ",")
	for _, what := range [][2]string{{"trades", `"p":`}, {"quotes", `"ap":`}, {"bars", `"o":`}} {
		list = append(list, question{"latest " + what[0] + " of all symbols", what[1], func(*rand.Rand) string {
			return "/v2/stocks/" + what[0] + "/latest?symbols=" + all
		}})
	}
	list = append(list, question{"snapshots of all symbols", `"latestTrade":`, func(*rand.Rand) string { return "/v2/stocks/snapshots?symbols=" + all }})
	span := market.Time(f.days) * 24 * market.Hour
	for _, what := range [][2]string{{"trades", `"p":`}, {"quotes", `"ap":`}} {
		list = append(list, question{"10,000 " + what[0] + " of a span", what[1], func(rng *rand.Rand) string {
			start := newest - span + market.Time(rng.Int64N(int64(span)*4/5))
			return "/v2/stocks/" + one(rng) + "/" + what[0] + "?limit=10000&start=" + url.QueryEscape(start.String())
		}})
	}
	return list
}

// measure asks one question as often as is wanted. The first answers only warm up what a user's browser would find warm as well.
func (f *query) measure(c *client, q question, rng *rand.Rand) (queryAnswer, error) {
	a := queryAnswer{Question: q.name}
	h := hdrhistogram.New(1, 600_000_000, 3) // µs
	for i := -f.requests / 10; i < f.requests; i++ {
		path := q.path(rng)
		began := time.Now()
		body, err := c.get(path)
		took := time.Since(began)
		if err != nil {
			return a, err
		}
		if i < 0 {
			continue
		}
		_ = h.RecordValue(min(max(took.Microseconds(), 1), 600_000_000)) // within the bounds it cannot fail
		a.Rows = max(a.Rows, strings.Count(string(body), q.rows))
	}
	a.Idle = newLatency(h, 1000)
	return a, nil
}

// newest returns the time of the newest trade of the first symbol.
func (f *query) newest(c *client) (market.Time, error) {
	body, err := c.get("/v2/stocks/" + string(f.symbol(0)) + "/trades?limit=1&sort=desc&start=1980-01-01")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(body), `"t":"`)
	text, _, also := strings.Cut(rest, `"`)
	if !ok || !also {
		return 0, fmt.Errorf("no trades of %s are stored: %.200s", f.symbol(0), body)
	}
	return market.ParseTime(text)
}

// export reads all trades of some symbols.
func (f *query) export(c *client, format string) (queryExport, error) {
	names := make([]string, 0, 20)
	for i := 0; i < min(f.symbols, cap(names)); i++ {
		names = append(names, f.name(i))
	}
	e := queryExport{What: "trades as " + format}
	path := "/v2/stocks/trades?start=1980-01-01&symbols=" + strings.Join(names, ",")
	rows, err := c.get(path + "&format=csv")
	if err != nil {
		return e, err
	}
	e.Rows = strings.Count(string(rows), "\n") - 1
	began := time.Now()
	n, err := c.drain(path + "&format=" + format)
	if err != nil {
		return e, err
	}
	e.RowsPerSecond = float64(e.Rows) / time.Since(began).Seconds()
	e.BytesPerRow = float64(n) / float64(max(e.Rows, 1))
	return e, nil
}

// client asks a server, over one connection.
type client struct {
	ctx  context.Context //nolint:containedctx // that of the command
	base *url.URL
	body []byte
}

func (c *client) open(path string) (*http.Response, error) {
	address := strings.TrimSuffix(c.base.String(), "/") + path
	req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%.200s: %s: %s", path, resp.Status, text)
	}
	return resp, nil
}

// get returns an answer; it is valid until the next call.
func (c *client) get(path string) ([]byte, error) {
	resp, err := c.open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	c.body = c.body[:0]
	for {
		c.body = slices.Grow(c.body, 64<<10)
		n, err := resp.Body.Read(c.body[len(c.body):cap(c.body)])
		c.body = c.body[:len(c.body)+n]
		if errors.Is(err, io.EOF) {
			return c.body, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%.200s: %w", path, err)
		}
	}
}

// drain counts the bytes of an answer.
func (c *client) drain(path string) (int64, error) {
	resp, err := c.open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.Copy(io.Discard, resp.Body)
}

// print writes the report for people.
func (r *queryReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%s ticks, %d symbols, %d days, each question asked %d times; %s %s/%s, %d CPUs\n\n",
		count(float64(r.Ticks)), r.Symbols, r.Days, r.Requests, r.Machine.Go, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs)
	var rows [][]string
	if s := r.Filling; s != nil {
		rows = append(rows, []string{"ticks/s onto the tape", count(float64(r.Ticks) / s.AppendSeconds)},
			[]string{"ticks/s into history", count(float64(r.Ticks) / s.RecordSeconds)},
			[]string{"bytes a tick on the tape", fmt.Sprintf("%.1f", s.TapeBytes)},
			[]string{"bytes a tick in history, with bars", fmt.Sprintf("%.1f", s.StoreBytes)}, nil)
	}
	head := []string{"", "rows", "p50", "p99"}
	if r.Rate > 0 {
		head = append(head, "busy p50", "busy p99")
	}
	rows = append(rows, head)
	for i := range r.Answers {
		a := &r.Answers[i]
		row := []string{a.Question, count(float64(a.Rows))}
		for _, l := range []*latency{a.Idle, a.Busy} {
			if l != nil {
				row = append(row, fmt.Sprintf("%.2f ms", l.P50), fmt.Sprintf("%.2f ms", l.P99))
			}
		}
		rows = append(rows, row)
	}
	rows = append(rows, nil, []string{"", "rows", "rows/s", "bytes a row"})
	for _, e := range r.Exports {
		rows = append(rows, []string{e.What, count(float64(e.Rows)), count(e.RowsPerSecond), fmt.Sprintf("%.1f", e.BytesPerRow)})
	}
	return printRows(w, rows)
}
