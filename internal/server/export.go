package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"

	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
	"tapedeck/internal/natstape"
	"tapedeck/internal/store"
)

// ExportQuery says what is exported.
type ExportQuery struct {
	Symbols  []string        // VENUE:NAME, or the name alone where one venue has it
	Kind     market.Kind     // KindTrade, KindQuote or KindBar
	Interval market.Interval // of bars
	From, To market.Time     // From ≤ t < To; 0 leaves an end open
	Format   string          // one of gateway.ExportFormats
}

// what is the name of the kind in addresses.
func (q *ExportQuery) what() string { return q.Kind.String() + "s" }

// Export writes history to w as a file of a format, in constant memory: through the server that runs on the data folder, or that o.URL
// names, or out of the folder itself. After an error what was written is no whole file. Errors that wrap ErrRefused mean that the
// folder can't be used by this program.
func Export(ctx context.Context, o IntakeOptions, q ExportQuery, w io.Writer) error {
	o.Logger = discard(o.Logger)
	if o.URL != "" {
		return exportOnline(ctx, o.URL, q, w)
	}
	in, err := openOffline(ctx, o)
	if err == nil {
		err = exportOffline(ctx, in, q, w)
		in.group.end()
		return errors.Join(err, in.node.close())
	}
	if !errors.Is(err, natstape.ErrLocked) {
		return err
	}
	a, ok, findErr := FindServer(o.Data)
	if findErr != nil || !ok {
		return errors.Join(err, findErr)
	}
	return exportOnline(ctx, a.URL, q, w)
}

// exportOffline exports what a folder has that no server runs on.
func exportOffline(ctx context.Context, in *offlineIntake, q ExportQuery, w io.Writer) error {
	if err := in.recorded(ctx); err != nil {
		return err
	}
	history := in.node.store
	listings, err := history.Listings(ctx)
	if err != nil {
		return err
	}
	known := make([]market.Symbol, len(listings))
	for i := range listings {
		known[i] = listings[i].Symbol
	}
	symbols, err := findSymbols(known, q.Symbols)
	if err != nil {
		return err
	}
	x, err := gateway.NewExport(w, q.Format, q.Kind)
	if err != nil {
		return err
	}
	for _, symbol := range symbols {
		if q.Kind == market.KindBar {
			err = exportBars(ctx, history, symbol, &q, x)
		} else {
			err = history.Ticks(ctx, market.TickQuery{Kind: q.Kind, Symbol: symbol, From: q.From, To: q.To, Limit: math.MaxInt},
				func(row *market.Row) error { return x.Tick(string(symbol), row) })
		}
		if err != nil {
			return fmt.Errorf("export %s of %s: %w", q.what(), symbol, err)
		}
	}
	return x.Close()
}

// exportPage is how many bars are read at once.
const exportPage = 1000

func exportBars(ctx context.Context, history *store.Store, symbol market.Symbol, q *ExportQuery, x *gateway.Export) error {
	ask := market.BarQuery{Symbol: symbol, Interval: q.Interval, From: q.From, To: q.To, Limit: exportPage}
	for bars := []market.Bar(nil); ; {
		var err error
		if bars, _, err = history.Bars(ctx, ask, bars[:0]); err != nil {
			return err
		}
		for i := range bars {
			if err := x.Bar(string(symbol), &bars[i]); err != nil {
				return err
			}
		}
		if len(bars) < exportPage {
			return nil
		}
		ask.From = bars[len(bars)-1].Start + 1
	}
}

// findSymbols returns the symbols that are meant, among those that are known.
func findSymbols(known []market.Symbol, texts []string) ([]market.Symbol, error) {
	var out []market.Symbol
	for _, text := range texts {
		var found []string
		for _, s := range known {
			if strings.EqualFold(string(s), text) || strings.EqualFold(s.Name(), text) {
				found = append(found, string(s))
			}
		}
		switch len(found) {
		case 0:
			return nil, fmt.Errorf("history has no symbol %.80q", text)
		case 1:
			out = append(out, market.Symbol(found[0]))
		default:
			return nil, fmt.Errorf("%.80q may be any of %s; say which", text, strings.Join(found, ", "))
		}
	}
	return out, nil
}

// exportOnline asks a server for the file.
func exportOnline(ctx context.Context, address string, q ExportQuery, w io.Writer) error {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return fmt.Errorf("%q is not the address of a server, such as http://127.0.0.1:8000", address)
	}
	names, err := askSymbols(ctx, base, q.Symbols)
	if err != nil {
		return err
	}
	u := base.JoinPath("v2/stocks", q.what())
	values := url.Values{"symbols": {strings.Join(names, ",")}, "format": {q.Format}, "start": {q.From.String()}}
	if q.From == 0 {
		values.Set("start", "1970-01-01T00:00:00Z") // without it, the server would begin with today
	}
	if q.To != 0 {
		values.Set("end", (q.To - 1).String()) // there, the end belongs to the span
	}
	if q.Kind == market.KindBar {
		values.Set("timeframe", q.Interval.String())
	}
	u.RawQuery = values.Encode()
	body, err := askFor(ctx, u)
	if err != nil {
		return err
	}
	defer body.Close()
	// An answer that the server had to cut off ends with an error.
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("the export was cut off: %w", err)
	}
	return nil
}

// askSymbols asks a server for the whole names of symbols, so that files say the same whoever wrote them.
func askSymbols(ctx context.Context, base *url.URL, texts []string) ([]string, error) {
	body, err := askFor(ctx, base.JoinPath("v1/symbols"))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var answer struct {
		Symbols []struct {
			Symbol market.Symbol `json:"symbol"`
		} `json:"symbols"`
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("what answers at %s is no Tapedeck: %w", base, err)
	}
	known := make([]market.Symbol, len(answer.Symbols))
	for i := range answer.Symbols {
		known[i] = answer.Symbols[i].Symbol
	}
	found, err := findSymbols(known, texts)
	names := make([]string, len(found))
	for i := range found {
		names[i] = string(found[i])
	}
	return names, err
}

// askFor asks a server for an address, and returns the body of its answer.
func askFor(ctx context.Context, u *url.URL) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	var p struct {
		Detail string `json:"detail"`
		Value  string `json:"value"`
	}
	if err := json.Unmarshal(b, &p); err != nil || p.Detail == "" {
		return nil, fmt.Errorf("the server answers %s", resp.Status)
	}
	return nil, fmt.Errorf("the server answers %s: %s %s", resp.Status, p.Value, p.Detail)
}
