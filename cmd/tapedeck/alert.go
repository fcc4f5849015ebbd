package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"tapedeck/internal/alert"
)

// alertTimeout is how long a server may take to answer about rules.
const alertTimeout = 30 * time.Second

// mostRules is the size of a file of rules, in bytes.
const mostRules = 4 << 20

func newAlert() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alert",
		Short: "Rules that watch the tape, and what they fired",
		Long:  "Lists and changes the rules of a running server; docs/alerts.md has their language.",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAlertList(), newAlertHistory(), newAlertPut(), newAlertRemove(), newAlertTest())
	return cmd
}

// rulesURL is where the rules of a server are.
func rulesURL(base string, path ...string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--url %q is not a URL such as http://127.0.0.1:8000", base)
	}
	return u.JoinPath(append([]string{"v1", "alerts"}, path...)...), nil
}

func urlFlag(cmd *cobra.Command, base *string) {
	cmd.Flags().StringVar(base, "url", "http://127.0.0.1:8000", "`URL` of the server")
}

func newAlertList() *cobra.Command {
	var base string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "Show the rules of a server", Args: cobra.NoArgs, Example: "  tapedeck alert list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			u, err := rulesURL(base)
			if err != nil {
				return err
			}
			var got struct{ Rules []json.RawMessage }
			if err := exchange(cmd.Context(), http.MethodGet, u, nil, &got); err != nil {
				return fail(exitFailed, err)
			}
			return fail(exitFailed, showRules(cmd.OutOrStdout(), got.Rules, asJSON))
		},
	}
	urlFlag(cmd, &base)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func showRules(w io.Writer, rules []json.RawMessage, asJSON bool) error {
	if asJSON {
		for _, r := range rules {
			if _, err := fmt.Fprintf(w, "%s\n", r); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tNAME\tSYMBOLS\tWHEN\tSTATE")
	for _, raw := range rules {
		var r alert.Rule
		if err := json.Unmarshal(raw, &r); err != nil {
			return err
		}
		state := string(r.Severity)
		if r.Off {
			state = "off"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Name, strings.Join(r.Symbols, " "), r.When, state)
	}
	return t.Flush()
}

func newAlertHistory() *cobra.Command {
	var base, rule, symbol, from, to string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use: "history", Short: "Show what the rules of a server fired, the newest first", Args: cobra.NoArgs,
		Example: "  tapedeck alert history --symbol SIM:AAPL --limit 10",
		RunE: func(cmd *cobra.Command, _ []string) error {
			u, err := rulesURL(base, "history")
			if err != nil {
				return err
			}
			q := url.Values{"limit": {fmt.Sprint(limit)}}
			for name, value := range map[string]string{"rule": rule, "symbol": symbol, "from": from, "to": to} {
				if value != "" {
					q.Set(name, value)
				}
			}
			u.RawQuery = q.Encode()
			var got struct{ Alerts []json.RawMessage }
			if err := exchange(cmd.Context(), http.MethodGet, u, nil, &got); err != nil {
				return fail(exitFailed, err)
			}
			return fail(exitFailed, showFired(cmd.OutOrStdout(), got.Alerts, asJSON))
		},
	}
	urlFlag(cmd, &base)
	f := cmd.Flags()
	f.StringVar(&rule, "rule", "", "of this rule only, by its `ID`")
	f.StringVar(&symbol, "symbol", "", "of this `SYMBOL` only")
	f.StringVar(&from, "from", "", "first `TIME`")
	f.StringVar(&to, "to", "", "`TIME` behind the last")
	f.IntVar(&limit, "limit", 20, "alerts at most, up to 1000")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func showFired(w io.Writer, fired []json.RawMessage, asJSON bool) error {
	for _, raw := range fired {
		if asJSON {
			if _, err := fmt.Fprintf(w, "%s\n", raw); err != nil {
				return err
			}
			continue
		}
		var f struct {
			T, Symbol, Rule, Text, Severity string
			Price                           json.Number
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s  %s  %s  %s  %s  %s\n", f.T, f.Severity, f.Symbol, f.Price, f.Rule, f.Text); err != nil {
			return err
		}
	}
	return nil
}

func newAlertPut() *cobra.Command {
	var base string
	cmd := &cobra.Command{
		Use: "put FILE", Short: "Add the rules of a file to a server, or replace those with their ids", Args: cobra.ExactArgs(1),
		Long:    "Adds the rules of a YAML or JSON file: one rule, or a list of them. All are checked before the first is added.",
		Example: "  tapedeck alert put rules.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := rulesURL(base); err != nil {
				return err
			}
			rules, err := readRules(args[0])
			if err != nil {
				return fail(exitConfig, err)
			}
			for i := range rules {
				if err := putRule(cmd.Context(), base, &rules[i]); err != nil {
					return fail(exitFailed, fmt.Errorf("rule %d of %d: %w", i+1, len(rules), err))
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", rules[i].ID, rules[i].Name)
			}
			return nil
		},
	}
	urlFlag(cmd, &base)
	return cmd
}

// putRule puts a rule, which gets an id if it has none.
func putRule(ctx context.Context, base string, r *alert.Rule) error {
	method, path := http.MethodPost, []string(nil)
	if r.ID != "" {
		method, path = http.MethodPut, []string{r.ID}
	}
	u, err := rulesURL(base, path...)
	if err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return exchange(ctx, method, u, body, r)
}

func newAlertRemove() *cobra.Command {
	var base string
	cmd := &cobra.Command{
		Use: "remove ID", Short: "Take a rule away; what it fired stays", Args: cobra.ExactArgs(1), Example: "  tapedeck alert remove move",
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := rulesURL(base, args[0])
			if err != nil {
				return err
			}
			return fail(exitFailed, exchange(cmd.Context(), http.MethodDelete, u, nil, nil))
		},
	}
	urlFlag(cmd, &base)
	return cmd
}

func newAlertTest() *cobra.Command {
	return &cobra.Command{
		Use: "test FILE", Short: "Check the rules of a file, without a server", Args: cobra.ExactArgs(1),
		Long:    "Reads a YAML or JSON file of one rule, or a list of them, and says what is wrong and where.",
		Example: "  tapedeck alert test rules.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			rules, err := readRules(args[0])
			if err != nil {
				return fail(exitConfig, err)
			}
			for i := range rules {
				fmt.Fprintf(cmd.OutOrStdout(), "ok  %s: %s\n", rules[i].Name, rules[i].When)
			}
			return nil
		},
	}
}

// readRules reads a file of rules and checks them. Errors name the file and the line.
func readRules(name string) ([]alert.Rule, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, mostRules+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(data) > mostRules {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, mostRules)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(doc.Content) == 0 {
		return nil, fmt.Errorf("%s: it has no rules", name)
	}
	nodes := doc.Content
	if nodes[0].Kind == yaml.SequenceNode {
		nodes = nodes[0].Content
	}
	rules := make([]alert.Rule, len(nodes))
	for i, n := range nodes {
		var text bytes.Buffer
		e := yaml.NewEncoder(&text)
		if err := errors.Join(e.Encode(n), e.Close()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n.Line, err)
		}
		d := yaml.NewDecoder(&text)
		d.KnownFields(true)
		if err := d.Decode(&rules[i]); err != nil {
			return nil, fmt.Errorf("%s:%d: %s", name, n.Line, oneLine(err))
		}
		checked := rules[i]
		if checked.ID == "" {
			checked.ID = "new"
		}
		if err := alert.NewBook(nil).SetRules([]alert.Rule{checked}); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n.Line, err)
		}
	}
	return rules, nil
}

// oneLine words an error of a decoder of YAML, which counts lines from the beginning of the rule, in one line and without them.
func oneLine(err error) string {
	wrong, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return err.Error()
	}
	var list []string
	for _, e := range wrong.Errors {
		if _, what, ok := strings.Cut(e, ": "); ok {
			e = what
		}
		list = append(list, strings.TrimSuffix(e, " in type alert.Rule"))
	}
	return strings.Join(list, "; ")
}

// exchange sends a request about rules and reads the answer into v, unless that is nil.
func exchange(ctx context.Context, method string, u *url.URL, body []byte, v any) error {
	ctx, cancel := context.WithTimeout(ctx, alertTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("no server answers at %s://%s (is `tapedeck serve` running?): %w", u.Scheme, u.Host, errors.Unwrap(err))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		var p struct{ Detail string }
		if json.Unmarshal(answer, &p) != nil || p.Detail == "" {
			p.Detail = "it answered " + response.Status
		}
		return errors.New(p.Detail)
	}
	if v == nil || len(answer) == 0 {
		return nil
	}
	return json.Unmarshal(answer, v)
}
