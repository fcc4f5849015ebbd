package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// past is what the command plays, as the server understands it.
type past struct {
	from, to, speed string
}

func newPlay() *cobra.Command {
	var (
		base    string
		asJSON  bool
		noQuote bool
		p       past
	)
	cmd := &cobra.Command{
		Use:   "play --from TIME [--to TIME] [--speed N] [SYMBOL ...]",
		Short: "Show ticks of the past as they happened",
		Long: "Plays the past of a running server as if it happened now: a live table on a terminal, plain lines when piped, one JSON\n" +
			"object a line with --json. Without symbols it plays all. It ends at --to; without one it catches up with the present and\n" +
			"goes on live, without a hole. A time is RFC 3339, a date, an epoch, or how long ago, such as 10m.\n\n" +
			"It needs a server, which \"tapedeck serve --data DIR --roles record,gateway\" is for a folder that none runs on: that one\n" +
			"takes no ticks. Files of ticks are written by \"tapedeck export\", without a server too.",
		Example: "  tapedeck play --from 10m --speed 10\n" +
			"  tapedeck play --from 2026-11-23T14:30:00Z --to 2026-11-23T21:00:00Z --speed max SIM:AAPL --json | jq .p",
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := streamURL(base)
			if err != nil {
				return err
			}
			p.from, p.to = moment(p.from, time.Now()), moment(p.to, time.Now())
			t := &tail{url: u, symbols: args, quotes: !noQuote, errOut: cmd.ErrOrStderr(), past: &p}
			if len(args) == 0 {
				t.symbols = []string{"*"}
			}
			t.out = newSink(cmd.OutOrStdout(), asJSON)
			return fail(exitFailed, t.run(cmd.Context()))
		},
	}
	cmd.Flags().StringVar(&p.from, "from", "", "`TIME` to begin at")
	cmd.Flags().StringVar(&p.to, "to", "", "`TIME` to end before; without it the replay goes on live")
	cmd.Flags().StringVar(&p.speed, "speed", "1", "how many times as fast as it happened: 0.1 to 10000, or max")
	cmd.Flags().StringVar(&base, "url", "http://127.0.0.1:8000", "`URL` of the server")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	cmd.Flags().BoolVar(&noQuote, "trades-only", false, "leave quotes out")
	if err := cmd.MarkFlagRequired("from"); err != nil {
		panic("BUG: " + err.Error())
	}
	return cmd
}

// moment turns how long ago something was into a time, so that it stays the same after a connection was lost. Other times are for the server
// to read.
func moment(text string, now time.Time) string {
	if ago, err := time.ParseDuration(strings.TrimPrefix(text, "-")); err == nil {
		return now.Add(-ago).UTC().Format(time.RFC3339Nano)
	}
	return text
}

// errPlayed says that a replay has come to its end.
var errPlayed = errors.New("the end was reached")

// address returns the address of the stream: with what is played, from where a connection that was lost had come to.
func (t *tail) address() string {
	if t.past == nil {
		return t.url.String()
	}
	q := url.Values{"speed": {t.past.speed}}
	if t.cursor != "" {
		q.Set("cursor", t.cursor)
	} else {
		q.Set("from", t.past.from)
	}
	if t.past.to != "" {
		q.Set("to", t.past.to)
	}
	u := *t.url
	u.RawQuery = q.Encode()
	return u.String()
}

// clock takes in how the clock of the replay stands.
func (t *tail) clock(m *message) error {
	if table, ok := t.out.(*table); ok {
		if table.clock = ""; m.Ended {
			table.drawn = time.Time{} // the last look is drawn in any case
		}
		if !m.Live {
			table.clock = fmt.Sprintf("%s  x%s", m.Time, strings.Trim(string(m.Speed), `"`))
		}
	}
	switch {
	case m.Ended:
		return errPlayed
	case m.Live:
		t.past = nil
		fmt.Fprintln(t.errOut, "tapedeck: this is live from here on")
	}
	return nil
}

// refusal returns what a server says of a handshake that it refuses.
func refusal(resp *http.Response) string {
	var problem struct {
		Detail    string `json:"detail"`
		Parameter string `json:"parameter"`
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(body, &problem) != nil || problem.Detail == "" {
		return resp.Status
	}
	if problem.Parameter != "" {
		return problem.Parameter + ": " + problem.Detail
	}
	return problem.Detail
}
