// Package poll is a feed that asks an HTTP server for JSON again and again, and reads it by a mapping (internal/venue/mapping).
//
//	http+json://meter.local/now?value=watts&as=POWER&interval=2s
//	https+json://scores.example/live?map=league.yaml
//
// An answer may be one value, the newest few, or all there is: what was in an earlier answer is left out. It is known by its id,
// by time and value where it has no id, and where it has neither by standing at the same place with the same value. Nothing is
// left out within one answer: two trades alike are two trades.
package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/mapping"
)

// maxPause is the longest pause that a server may ask for with Retry-After.
const maxPause = time.Hour

// Pauses after a poll that failed, where the interval is shorter; they double.
const (
	leastPause = 500 * time.Millisecond
	mostPause  = 30 * time.Second
)

// maxRedirects is how often one request may be sent elsewhere.
const maxRedirects = 5

// errTooLarge is told as it is: the user has to do something about it.
var errTooLarge = errors.New("the answer is larger than max=")

// Adapter returns the adapter of http+json:// or https+json:// URLs. Transport carries the requests; nil is one of its own.
func Adapter(scheme string, transport http.RoundTripper) feed.Adapter {
	var mu sync.Mutex
	memories := make(map[string]*memory) // by the names of the feeds: what their last source had seen
	place := func(u *feed.URL) mapping.Place {
		return mapping.Place{Scheme: u.Scheme, Target: u.Target, Venue: u.Venue}
	}
	return feed.Adapter{
		Scheme: scheme,
		Params: mapping.PollParams(),
		Check:  func(u *feed.URL) error { return mapping.Check(place(u), u) },
		Probe: func(u *feed.URL) error {
			_, err := mapping.Parse(place(u), u)
			return err
		},
		Open: func(u *feed.URL, start feed.Start) (feed.Source, error) {
			m, err := mapping.Parse(place(u), u)
			if err != nil {
				return nil, err
			}
			mu.Lock()
			defer mu.Unlock()
			if memories[u.Name] == nil {
				memories[u.Name] = newMemory(start.Last)
			}
			return newSource(m, start, memories[u.Name], transport), nil
		},
	}
}

// source asks one server.
type source struct {
	m      *mapping.Mapping
	reader *mapping.Reader
	memory *memory
	client *http.Client
	log    *slog.Logger
	print  uint64 // of what is asked, so that a cursor is not used for another source

	etag, etagOf string // of the last answer, and of which address
	out          venue.Output
}

var _ feed.Source = (*source)(nil)

func newSource(m *mapping.Mapping, start feed.Start, seen *memory, transport http.RoundTripper) *source {
	s := &source{m: m, reader: m.Reader(), memory: seen, log: start.Log, print: fingerprint(m)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.reader.Track = m.Poll.Since != ""
	if place, ok := parsePlace(start.Offset); ok && place.Print == s.print {
		s.reader.Newest.ID, s.reader.Newest.Time, s.reader.Newest.At = place.ID, place.Time, place.At
	}
	if transport == nil {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 2 * time.Minute, MaxIdleConns: 2}
	}
	s.client = &http.Client{Transport: transport, CheckRedirect: s.redirect}
	return s
}

// Traits implements feed.Source.
func (s *source) Traits() feed.Traits { return feed.Traits{Resumes: s.m.Poll.Since != ""} }

// redirect refuses to follow a redirect that would carry a secret to somebody else, or into the open.
func (s *source) redirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) >= maxRedirects:
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	case s.m.Secret && req.URL.Host != first.Host:
		return fmt.Errorf("redirected to %s: what is sent along with a key stays with %s", req.URL.Host, first.Host)
	case s.m.Secret && first.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("redirected from https to http with a key")
	}
	return nil
}

// Run implements feed.Source. One request that fails ends nothing; failing for as long as stall= does.
func (s *source) Run(ctx context.Context, sink feed.Sink) error {
	defer s.client.CloseIdleConnections()
	var failing time.Time   // since; zero while all is well
	var pause time.Duration // at least, before the next
	answered := false
	for {
		began := time.Now()
		err := s.poll(ctx, sink)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			answered, failing, pause = true, time.Time{}, 0
		case feed.IsPermanent(err) || !answered || !isPollError(err):
			return err
		default:
			if failing.IsZero() {
				failing = began
				s.log.WarnContext(ctx, "a poll failed", "error", err)
			}
			if time.Since(failing) >= s.m.Poll.Stall {
				return err
			}
			pause = min(max(2*pause, leastPause), mostPause)
			if retry := new(feed.RetryError); errors.As(err, &retry) {
				pause = max(pause, retry.After)
			}
		}
		// A tenth more or less, so that many feeds of one server don't ask at once.
		tenth := max(int64(s.m.Poll.Interval)/10, 1)
		next := s.m.Poll.Interval - time.Since(began) + time.Duration(rand.Int64N(2*tenth)-tenth)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(pause, next)):
		}
	}
}

// pollError marks what went wrong between us and the server, where another poll may succeed; errors of the sink are none.
type pollError struct{ error }

func (e pollError) Unwrap() error { return e.error }

func isPollError(err error) bool {
	var p pollError
	return errors.As(err, &p)
}

// poll asks once, and pushes what is new.
func (s *source) poll(ctx context.Context, sink feed.Sink) error {
	body, err := s.ask(ctx)
	if err != nil {
		if feed.IsPermanent(err) {
			return err
		}
		return pollError{err}
	}
	if body == nil { // nothing new
		return sink.Push(ctx, nil, nil)
	}
	s.out.Reset()
	received := market.FromStd(time.Now())
	if !utf8.Valid(body) {
		s.out.Unused(mapping.ReasonNotJSON)
	} else {
		s.reader.Read(body, received, &s.out)
	}
	for reason, n := range s.out.Unusable {
		sink.Dropped(reason, n)
	}
	if s.out.Unusable[mapping.ReasonNotJSON] > 0 {
		return nil // It is not said that the source is alive: what answers here is something else.
	}
	fresh := s.memory.sift(s.out.Entries, s.m.Poll.Repeat)
	return s.push(ctx, sink, fresh)
}

// push hands over what is new, the place with the last of it, and remembers it.
func (s *source) push(ctx context.Context, sink feed.Sink, fresh []market.Entry) error {
	for {
		n := min(len(fresh), feed.MaxPush)
		var offset []byte
		if n == len(fresh) && n > 0 && s.m.Poll.Since != "" {
			newest := &s.reader.Newest
			offset = place{Print: s.print, ID: newest.ID, Time: newest.Time, At: newest.At}.encode()
		}
		if err := sink.Push(ctx, fresh[:n], offset); err != nil {
			return err
		}
		s.memory.pushed(n)
		if fresh = fresh[n:]; len(fresh) == 0 {
			return nil
		}
	}
}

// ask returns the answer to one request, nil when the server says that there is nothing new.
func (s *source) ask(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.m.Poll.Timeout)
	defer cancel()
	address := s.address()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, feed.Permanent(errors.New("the address can't be asked"))
	}
	req.Header = s.m.Header.Clone()
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "tapedeck")
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	if s.etag != "" && s.etagOf == address {
		req.Header.Set("If-None-Match", s.etag)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, s.bare(ctx, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified || resp.StatusCode == http.StatusNoContent:
		return nil, nil
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, refusal(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, s.m.Poll.Max+1))
	if err != nil {
		return nil, s.bare(ctx, err)
	}
	if int64(len(body)) > s.m.Poll.Max {
		return nil, fmt.Errorf("%w%d", errTooLarge, s.m.Poll.Max)
	}
	s.etag, s.etagOf = resp.Header.Get("ETag"), address
	return body, nil
}

// address returns what is asked next.
func (s *source) address() string {
	newest := &s.reader.Newest
	since := s.m.Poll.Since
	if since == "" || newest.At == 0 {
		return s.m.URL.String()
	}
	u := *s.m.URL
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += strings.NewReplacer("{id}", url.QueryEscape(newest.ID), "{time}", url.QueryEscape(newest.Time), " ", "%20").Replace(since)
	return u.String()
}

// bare returns an error of the client without the address, which may hold a secret.
func (s *source) bare(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("ask %s: no answer within %s", s.m.URL.Host, s.m.Poll.Timeout)
	}
	if wrapped := new(url.Error); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("ask %s: %w", s.m.URL.Host, err)
}

// refusal says what a status means.
func refusal(resp *http.Response) error {
	err := fmt.Errorf("%s answers %d %s", resp.Request.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.StatusCode == http.StatusUnauthorized {
		return feed.Permanent(fmt.Errorf("%w: look at key= and header=", err))
	}
	if after := retryAfter(resp.Header.Get("Retry-After"), time.Now()); after > 0 {
		return &feed.RetryError{Err: err, After: after}
	}
	return err
}

// retryAfter reads a Retry-After: seconds, or the date at which to come back.
func retryAfter(s string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxPause)
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(at.Sub(now), 0), maxPause)
	}
	return 0
}
