package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// onlineIntake is an intake over a running server.
type onlineIntake struct {
	base   *url.URL
	secret string
	log    *slog.Logger
	client *http.Client
	file   IntakeFile
	rows   uint64
	begun  bool // a file was, so that the server was there
	enc    tape.Encoder
	buf    []byte
}

// onlinePatience is how long a server that does not answer, or takes nothing now, is tried again.
const onlinePatience = 30 * time.Second

// openOnline prepares to speak with a server.
func openOnline(address, secret string, log *slog.Logger) (*onlineIntake, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("%q is not the address of a server, such as http://127.0.0.1:8000", address)
	}
	if !strings.HasSuffix(base.Path, "/") {
		base.Path += "/"
	}
	return &onlineIntake{base: base, secret: secret, log: log, client: &http.Client{
		Timeout: 2 * time.Minute,
		// What is put must not be sent elsewhere, and neither must the secret.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// standing is what the server says of a file.
type standing struct {
	Rows     uint64 `json:"rows"`
	Done     bool   `json:"done"`
	Recorded bool   `json:"recorded"`
}

// Begin implements Intake.
func (in *onlineIntake) Begin(ctx context.Context, f IntakeFile) (rows uint64, done bool, err error) {
	in.file = f
	s, err := in.stand(ctx, f.Name)
	if err != nil {
		return 0, false, fmt.Errorf("import %s: %w", f.Name, err)
	}
	in.rows, in.begun = s.Rows, true
	return s.Rows, s.Done, nil
}

// stand asks how far the file has come. The server logs names only, so that who waits has none.
func (in *onlineIntake) stand(ctx context.Context, name string) (standing, error) {
	body, err := json.Marshal(struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		Rows uint64 `json:"rows"`
	}{in.file.ID, name, in.file.Rows})
	if err != nil {
		return standing{}, err
	}
	return in.post(ctx, in.base.JoinPath("v1/imports"), "application/json", body)
}

// Put implements Intake.
func (in *onlineIntake) Put(ctx context.Context, entries []market.Entry, rows uint64, last bool) error {
	return in.part(ctx, entries, in.rows, rows, last)
}

func (in *onlineIntake) part(ctx context.Context, entries []market.Entry, from, rows uint64, last bool) error {
	data, err := in.enc.Append(in.buf[:0], 0, &tape.Batch{Entries: entries})
	if err != nil {
		return fmt.Errorf("pack %d entries: %w", len(entries), err)
	}
	in.buf = data
	u := in.base.JoinPath("v1/imports", in.file.ID)
	u.RawQuery = url.Values{
		"from": {strconv.FormatUint(from, 10)}, "rows": {strconv.FormatUint(rows, 10)}, "last": {strconv.FormatBool(last)},
	}.Encode()
	if _, err := in.post(ctx, u, gateway.RecordType, data); err != nil {
		return err
	}
	// Not what the server has: another program may be ahead with the same file, and what is put next follows what was put here.
	in.rows = rows
	return nil
}

// Close implements Intake.
func (in *onlineIntake) Close(ctx context.Context) error {
	defer in.client.CloseIdleConnections()
	if !in.begun {
		return nil
	}
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second/2) {
		s, err := in.stand(ctx, "")
		if err != nil {
			return fmt.Errorf("ask whether history has it: %w", err)
		}
		if s.Recorded {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("history does not have all of it yet; the server goes on recording: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// post asks the server, and again while it can't be reached or takes nothing now: a part that it had already it does not take twice.
func (in *onlineIntake) post(ctx context.Context, u *url.URL, kind string, body []byte) (standing, error) {
	deadline := time.Now().Add(onlinePatience)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		s, again, err := in.ask(ctx, u, kind, body)
		if err == nil || !again || ctx.Err() != nil || time.Now().After(deadline) {
			return s, err
		}
		in.log.DebugContext(ctx, "the server is asked again", "error", err)
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// ask asks the server once; again tells whether another time may help.
func (in *onlineIntake) ask(ctx context.Context, u *url.URL, kind string, body []byte) (s standing, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return s, false, err
	}
	req.Header.Set("Content-Type", kind)
	if in.secret != "" {
		req.Header.Set("Authorization", "Bearer "+in.secret)
	}
	resp, err := in.client.Do(req)
	if err != nil {
		return s, in.begun || !isRefused(err), fmt.Errorf("ask the server: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return s, true, fmt.Errorf("read the server's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return s, resp.StatusCode == http.StatusServiceUnavailable, problemOf(resp, answer)
	}
	if err := json.Unmarshal(answer, &s); err != nil {
		return s, false, fmt.Errorf("what answers at %s is no Tapedeck: %w", in.base, err)
	}
	return s, false, nil
}

// isRefused reports whether nobody listens at the address: then waiting helps only when somebody did, who may be starting again.
func isRefused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// problemOf words an answer that is an error.
func problemOf(resp *http.Response, answer []byte) error {
	var p struct {
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal(answer, &p); err != nil || p.Detail == "" {
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	if resp.StatusCode == http.StatusConflict {
		return fmt.Errorf("%w: %s", ErrIntakeConflict, p.Detail)
	}
	return fmt.Errorf("the server answers %s: %s", resp.Status, p.Detail)
}

var _ Intake = (*onlineIntake)(nil)
