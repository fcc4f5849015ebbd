package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tapedeck/internal/layout"
	"tapedeck/internal/market"
	"tapedeck/internal/server"
)

// importFlags are the flags of import.
type importFlags struct {
	config, data, url   string
	symbol, venue       string
	format, zone, dates string
	interval, label     string
	mapping             []string
	rejects             string
	dryRun, yes, asJSON bool
	calendars           string
}

func newImport() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Put files of trades, quotes or bars on the tape",
		Long: "Recognises what the columns of each file mean, shows it, and puts the rows on the tape: CSV and its kin, JSON lines or\n" +
			"Parquet, plain or packed by gzip, zstd or zip; - is standard input. Rows that can't be used go to FILE.rejected.csv, each\n" +
			"with its line and a reason. It may be stopped at any time: the same command goes on, and a file that is on the tape\n" +
			"already is left alone. With a running server the rows go through it; else the data folder is opened.",
		Example: "  tapedeck import AAPL.csv --symbol NASDAQ:AAPL --dry-run\n" +
			"  tapedeck import trades-*.csv.gz --venue BINANCE --yes\n" +
			"  tapedeck import mine.csv --symbol X --map time=when,price=paid --tz Europe/Berlin",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(cmd)
			if err != nil {
				return err
			}
			im := &importer{
				flags: &f, options: o, out: bufio.NewWriter(cmd.OutOrStdout()), errOut: cmd.ErrOrStderr(), in: cmd.InOrStdin(),
				lively: isTerminal(cmd.ErrOrStderr()),
			}
			err = im.run(cmd.Context(), args)
			if flushErr := im.out.Flush(); err == nil && flushErr != nil {
				err = fail(exitFailed, flushErr)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.symbol, "symbol", "", "`SYMBOL` of rows that name none, such as NASDAQ:AAPL; of files that name theirs, the one to take")
	flags.StringVar(&f.venue, "venue", "", "`VENUE` of symbols that name none (default: the source's, else IMPORT)")
	flags.StringVar(&f.format, "format", "auto", "auto, csv, jsonl or parquet")
	flags.StringVar(&f.zone, "tz", "", "`ZONE` of times that do not say theirs, such as America/New_York (default: the source's, else UTC)")
	flags.StringVar(&f.dates, "dates", "", "mdy or dmy: how 03/04/2024 is to be read (default: as the rows tell)")
	flags.StringSliceVar(&f.mapping, "map", nil, "what columns mean, by name or number: `time=when,price=paid`; size= means there is none")
	flags.StringVar(&f.interval, "interval", "", "`LENGTH` of bars, such as 1m (default: as the file or its spacing tells)")
	flags.StringVar(&f.label, "label", "", "start or end: the moment of a bar that its time stands for (default: the source's, else start)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what was recognised and the first rows, and put nothing on the tape")
	flags.StringVar(&f.rejects, "rejects", "", "`FILE` for rows that can't be used (default FILE.rejected.csv)")
	flags.StringVar(&f.config, "config", "", "configuration `FILE` that names the data folder")
	flags.StringVar(&f.data, "data", "", "`DIR` of the tape and the store")
	flags.StringVar(&f.url, "url", "", "`URL` of a running server (default: the one that runs on the data folder, if any)")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object for each file")
	return cmd
}

// options checks the flags.
func (f *importFlags) options(cmd *cobra.Command) (layout.Options, error) {
	o := layout.Options{
		Venue: strings.ToUpper(f.venue), Format: f.format, Dates: f.dates, Label: f.label, Native: native, Now: market.FromStd(time.Now()),
	}
	var c server.Config
	c, err := server.Load(f.config, os.Environ(), nil)
	switch {
	case err != nil:
		return o, fail(exitConfig, err)
	case !cmd.Flags().Changed("data"):
		f.data = c.Data
	}
	f.calendars = c.Calendars
	o.Calendars = market.NewCalendars()
	if c.Calendars != "" {
		text, err := os.ReadFile(c.Calendars)
		if err != nil {
			return o, fail(exitConfig, err)
		}
		if o.Calendars, err = o.Calendars.With(c.Calendars, text); err != nil {
			return o, fail(exitConfig, err)
		}
	}
	if f.venue != "" {
		if _, err := market.NewSymbol(f.venue, "X"); err != nil {
			return o, fmt.Errorf("--venue %s: it has letters, digits and . _ - only", f.venue)
		}
	}
	if f.symbol != "" {
		if o.Symbol, err = f.chosen(&o); err != nil {
			return o, err
		}
		o.Only = []market.Symbol{o.Symbol}
	}
	if f.zone != "" {
		if o.Zone, err = time.LoadLocation(f.zone); err != nil || f.zone == "Local" {
			return o, fmt.Errorf("--tz %s is not a time zone such as America/New_York", f.zone)
		}
	}
	if f.interval != "" {
		if o.Interval, err = market.ParseInterval(f.interval); err != nil {
			return o, fmt.Errorf("--interval: %w", err)
		}
	}
	if o.Map, err = parseMapping(f.mapping); err != nil {
		return o, err
	}
	return o, f.words()
}

// chosen reads --symbol. Its venue, if it has one, is also that of the names in the file; without one it stands for that name at the venue of
// the file.
func (f *importFlags) chosen(o *layout.Options) (market.Symbol, error) {
	venue, name, ok := strings.Cut(f.symbol, ":")
	if !ok {
		venue, name = f.venue, f.symbol
	}
	if f.venue != "" && !strings.EqualFold(f.venue, venue) {
		return "", fmt.Errorf("--symbol %s is not of --venue %s", f.symbol, f.venue)
	}
	if venue == "" {
		s, err := market.NewSymbol("X", name)
		if err != nil {
			return "", fmt.Errorf("--symbol: %w", err)
		}
		return market.Symbol(s.Name()), nil
	}
	s, err := market.NewSymbol(venue, name)
	if err != nil {
		return "", fmt.Errorf("--symbol: %w", err)
	}
	o.Venue = s.Venue()
	return s, nil
}

// words checks the flags that have one of a few words.
func (f *importFlags) words() error {
	for _, flag := range [...]struct {
		name, value string
		words       []string
	}{
		{"format", f.format, []string{"auto", "csv", "jsonl", "parquet"}},
		{"dates", f.dates, []string{"", "mdy", "dmy"}},
		{"label", f.label, []string{"", "start", "end"}},
	} {
		found := false
		for _, w := range flag.words {
			found = found || w == flag.value
		}
		if !found {
			return fmt.Errorf("--%s %q: want %s", flag.name, flag.value, strings.TrimPrefix(strings.Join(flag.words, " or "), " or "))
		}
	}
	return nil
}

// parseMapping reads --map time=when,price=paid.
func parseMapping(parts []string) (map[string]string, error) {
	mapping := make(map[string]string, len(parts))
	for _, part := range parts {
		name, column, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("--map: %q is not meaning=column, such as time=when", part)
		}
		meaning, err := layout.Meaning(strings.TrimSpace(name))
		if err != nil {
			return nil, fmt.Errorf("--map: %w", err)
		}
		if _, twice := mapping[meaning]; twice {
			return nil, fmt.Errorf("--map: %s is given twice", name)
		}
		mapping[meaning] = strings.TrimSpace(column)
	}
	return mapping, nil
}

// importer is one run of the command.
type importer struct {
	flags   *importFlags
	options layout.Options
	in      io.Reader
	out     *bufio.Writer
	errOut  io.Writer
	lively  bool // errOut is a terminal
}

// run recognises all files before it puts the first on the tape: a mistake in the last one is seen while nothing is written.
func (im *importer) run(ctx context.Context, names []string) error {
	if len(names) > 1 && im.flags.rejects != "" {
		return errors.New("--rejects names one file; leave it out for several, then each has a FILE.rejected.csv of its own")
	}
	files := make([]*sourceFile, 0, len(names))
	defer func() {
		for _, f := range files {
			f.close()
		}
	}()
	for _, name := range names {
		f, err := im.recognise(ctx, name)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	if im.flags.dryRun {
		for _, f := range files {
			if err := im.show(f); err != nil {
				return fail(exitFailed, err)
			}
		}
		return nil
	}
	if ok, err := im.confirm(files); err != nil || !ok {
		return err
	}
	intake, err := server.OpenIntake(ctx, server.IntakeOptions{Data: im.flags.data, URL: im.flags.url, Calendars: im.flags.calendars})
	if errors.Is(err, server.ErrRefused) {
		return fail(exitConfig, err)
	}
	if err != nil {
		return fail(exitFailed, err)
	}
	for _, f := range files {
		if err = im.put(ctx, intake, f); err != nil {
			break
		}
	}
	// What was put is to be in history even when the user has had enough; how long that may take is bounded by a second signal.
	if closeErr := intake.Close(context.WithoutCancel(ctx)); err == nil && closeErr != nil {
		err = fmt.Errorf("wait for history: %w", closeErr)
	}
	return fail(exitFailed, err)
}

// confirm shows what was recognised, and asks on a terminal.
func (im *importer) confirm(files []*sourceFile) (bool, error) {
	if im.flags.asJSON {
		return true, nil
	}
	for _, f := range files {
		im.describe(f)
	}
	if err := im.out.Flush(); err != nil {
		return false, fail(exitFailed, err)
	}
	terminal, ok := im.in.(*os.File)
	if im.flags.yes || !ok || !term.IsTerminal(int(terminal.Fd())) {
		return true, nil
	}
	fmt.Fprint(im.errOut, "Import? [y/N] ")
	answer, err := bufio.NewReader(im.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fail(exitFailed, err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	fmt.Fprintln(im.errOut, "nothing was imported")
	return false, nil
}

// importSummary is what --json prints of a file.
type importSummary struct {
	File     string             `json:"file"`
	Layout   layout.Description `json:"layout"`
	Rows     uint64             `json:"rows"`             // of the file
	Imported uint64             `json:"imported"`         // entries put on the tape by this run
	Rejected uint64             `json:"rejected"`         // rows that can't be used
	LeftOut  uint64             `json:"left_out"`         // rows of other symbols, or that are no ticks
	Doubts   []string           `json:"doubts,omitempty"` // what was taken, and may mean something else
	Already  uint64             `json:"already"`          // rows that were on the tape before
	First    market.Time        `json:"first"`
	Last     market.Time        `json:"last"`
	Rejects  string             `json:"rejects,omitempty"` // the file that has them
	Done     bool               `json:"done"`
}

// report prints how it went.
func (im *importer) report(s *importSummary) error {
	if im.flags.asJSON {
		return json.NewEncoder(im.out).Encode(s)
	}
	fmt.Fprintf(im.out, "%s: ", filepath.Base(s.File))
	if s.Done && s.Already == s.Rows && s.Imported == 0 && s.Rows > 0 {
		fmt.Fprintf(im.out, "already imported, %s rows\n", grouped(s.Rows))
		return nil
	}
	fmt.Fprintf(im.out, "%s rows, %s imported, %s rejected", grouped(s.Rows), grouped(s.Imported), grouped(s.Rejected))
	if s.LeftOut > 0 {
		fmt.Fprintf(im.out, ", %s left out", grouped(s.LeftOut))
	}
	if s.Already > 0 {
		fmt.Fprintf(im.out, ", %s imported before", grouped(s.Already))
	}
	if s.First != 0 {
		fmt.Fprintf(im.out, ", %s to %s", s.First, s.Last)
	}
	fmt.Fprintln(im.out)
	for _, doubt := range s.Doubts {
		fmt.Fprintf(im.out, "  note: %s\n", doubt)
	}
	if s.Rejected > 0 {
		fmt.Fprintf(im.out, "  rejected rows are in %s\n", s.Rejects)
	}
	return nil
}

// grouped writes a number with commas between its thousands.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
