package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"
)

// message is what tail understands of a message of the stream. Numbers stay text, so that their digits are shown as sent.
type message struct {
	T     string      `json:"T"`
	S     string      `json:"S"`
	P     json.Number `json:"p"`
	Size  json.Number `json:"s"`
	Time  string      `json:"t"`
	Tks   string      `json:"tks"`
	Seq   uint64      `json:"seq"`
	BP    json.Number `json:"bp"`
	BS    json.Number `json:"bs"`
	AP    json.Number `json:"ap"`
	AS    json.Number `json:"as"`
	State string      `json:"state"`
	From  string      `json:"from"`
	To    string      `json:"to"`
	Why   string      `json:"reason"`
	Code  int         `json:"code"`
	Msg   string      `json:"msg"`
	C     string      `json:"c"`

	// Of the clock of a replay.
	Speed json.RawMessage `json:"speed"`
	Live  bool            `json:"live"`
	Ended bool            `json:"ended"`
}

// tail is one run of the command.
type tail struct {
	url     *url.URL
	symbols []string
	quotes  bool
	out     sink
	errOut  io.Writer
	cursor  string // where to go on after a lost connection
	past    *past  // what is played; nil once it is live
}

// sink is where messages go: lines, JSON, or a table on a terminal.
type sink interface {
	write(raw json.RawMessage, m *message) error
	flush() error
}

func newTail() *cobra.Command {
	var (
		base    string
		asJSON  bool
		noQuote bool
	)
	cmd := &cobra.Command{
		Use:     "tail [SYMBOL ...]",
		Short:   "Show ticks as they happen",
		Long:    "Shows the ticks of a running server: a live table on a terminal, plain lines when piped, one JSON object a line\nwith --json. Without symbols it shows all. After a lost connection it goes on where it was, without a hole.",
		Example: "  tapedeck tail\n  tapedeck tail SIM:AAPL --json | jq .p",
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := streamURL(base)
			if err != nil {
				return err
			}
			t := &tail{url: u, symbols: args, quotes: !noQuote, errOut: cmd.ErrOrStderr()}
			if len(args) == 0 {
				t.symbols = []string{"*"}
			}
			t.out = newSink(cmd.OutOrStdout(), asJSON)
			return fail(exitFailed, t.run(cmd.Context()))
		},
	}
	cmd.Flags().StringVar(&base, "url", "http://127.0.0.1:8000", "`URL` of the server")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	cmd.Flags().BoolVar(&noQuote, "trades-only", false, "leave quotes out")
	return cmd
}

// newSink returns where messages go, by what the output is.
func newSink(w io.Writer, asJSON bool) sink {
	b := bufio.NewWriter(w)
	switch {
	case asJSON:
		return &jsonLines{b}
	case isTerminal(w):
		return newTable(b)
	}
	return &plainLines{b}
}

// streamURL returns the address of the stream of the server at base, which may have a path prefix.
func streamURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--url %q is not a URL such as http://127.0.0.1:8000", base)
	}
	return u.JoinPath("v2", "tape"), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// errRefused is what the server said no to; trying again does not help.
var errRefused = errors.New("the server refused")

// run shows ticks until ctx is done. The first connection must succeed; a lost one is made again, with full jitter.
func (t *tail) run(ctx context.Context) error {
	const least, most = 250 * time.Millisecond, 10 * time.Second
	wait := least
	for first := true; ; first = false {
		began := time.Now()
		err := t.connect(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, errPlayed):
			return t.out.flush()
		case errors.Is(err, errRefused), errors.Is(err, errOutput), first && t.cursor == "":
			return err
		}
		if time.Since(began) > most {
			wait = least
		}
		pause := rand.N(wait)
		fmt.Fprintf(t.errOut, "tapedeck: %v; again in %v\n", err, pause.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return t.out.flush()
		case <-time.After(pause):
		}
		wait = min(2*wait, most)
	}
}

// connect subscribes and shows what comes until the connection ends.
func (t *tail) connect(ctx context.Context) (err error) {
	dialCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(dialCtx, t.address(), nil) //nolint:bodyclose // the library closes it
	if err != nil {
		if resp != nil && resp.StatusCode < http.StatusInternalServerError {
			return fmt.Errorf("connect to %s: %w: %s", t.url, errRefused, refusal(resp))
		}
		return fmt.Errorf("connect to %s: %w (is \"tapedeck serve\" running there? --url names another server)", t.url, innermost(err))
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(16 << 20)

	subscribe := map[string]any{"action": "subscribe", "trades": t.symbols, "cursor": true}
	if t.quotes {
		subscribe["quotes"] = t.symbols
	}
	if t.cursor != "" && t.past == nil {
		subscribe["from"] = map[string]string{"cursor": t.cursor}
	}
	request, err := json.Marshal(subscribe)
	if err != nil {
		return err
	}
	if err := conn.Write(ctx, websocket.MessageText, request); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for {
		_, frame, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("read from %s: %w", t.url, innermost(err))
		}
		if err := t.show(frame); err != nil {
			return err
		}
	}
}

// innermost is what an error of the library stands on: the network's or the server's own words.
func innermost(err error) error {
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		if closed.Reason == "" {
			return fmt.Errorf("the server closed the stream: %d", closed.Code)
		}
		return fmt.Errorf("the server closed the stream: %s (%d)", closed.Reason, closed.Code)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the connection ended")
	}
	return err
}

// errOutput wraps a failure to write what was received.
var errOutput = errors.New("write output")

func (t *tail) show(frame []byte) error {
	var raws []json.RawMessage
	if err := json.Unmarshal(frame, &raws); err != nil {
		return fmt.Errorf("frame of the server: %w", err)
	}
	for _, raw := range raws {
		var m message
		// The type decides: "c" is an array in a trade and a text in a cursor. The time is named, because encoding/json takes
		// "t" for "T" where there is no "t".
		var head struct {
			T    string          `json:"T"`
			Time json.RawMessage `json:"t"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return fmt.Errorf("message of the server: %w", err)
		}
		if head.T == "t" || head.T == "q" {
			var tick struct {
				message
				C json.RawMessage `json:"c"`
				R json.RawMessage `json:"r"`
			}
			if err := json.Unmarshal(raw, &tick); err != nil {
				return fmt.Errorf("tick of the server: %w", err)
			}
			m = tick.message
		} else if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("message of the server: %w", err)
		}
		switch m.T {
		case "success", "subscription", "heartbeat":
			continue
		case "cursor":
			t.cursor = m.C
			continue
		case "clock":
			if err := t.clock(&m); err != nil {
				return err
			}
			continue
		case "error":
			if m.Code == http.StatusRequestedRangeNotSatisfiable {
				t.cursor = ""
			}
			return fmt.Errorf("%w: %s (code %d)", errRefused, m.Msg, m.Code)
		}
		if err := t.out.write(raw, &m); err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
	}
	if err := t.out.flush(); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// jsonLines writes messages as the server sent them.
type jsonLines struct{ w *bufio.Writer }

func (j *jsonLines) write(raw json.RawMessage, _ *message) error {
	if _, err := j.w.Write(raw); err != nil {
		return err
	}
	return j.w.WriteByte('\n')
}

func (j *jsonLines) flush() error { return j.w.Flush() }

// plainLines writes a line a message, in columns between spaces.
type plainLines struct{ w *bufio.Writer }

func (p *plainLines) write(_ json.RawMessage, m *message) (err error) {
	switch m.T {
	case "t":
		_, err = fmt.Fprintf(p.w, "%s %s trade %s %s %s\n", m.Time, m.S, m.P, m.Size, orDash(m.Tks))
	case "q":
		_, err = fmt.Fprintf(p.w, "%s %s quote %s %s %s %s\n", m.Time, m.S, m.BP, m.BS, m.AP, m.AS)
	case "gap":
		_, err = fmt.Fprintf(p.w, "%s %s gap until %s %s\n", m.From, orDash(m.S), m.To, m.Why)
	case "status":
		_, err = fmt.Fprintf(p.w, "- %s status %s\n", orDash(m.S), m.State)
	}
	return err
}

func (p *plainLines) flush() error { return p.w.Flush() }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
