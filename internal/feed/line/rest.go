package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// bucket spaces the requests to a venue. All feeds of the venue share it.
type bucket struct {
	mu   sync.Mutex
	next time.Time // when the next request may go
}

// wait returns when a request may go.
func (k *bucket) wait(ctx context.Context, every time.Duration) error {
	k.mu.Lock()
	at := time.Now()
	if k.next.After(at) {
		at = k.next
	}
	k.next = at.Add(every)
	k.mu.Unlock()
	return pause(ctx, time.Until(at))
}

// hold lets no request go for a while.
func (k *bucket) hold(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if until := time.Now().Add(d); until.After(k.next) {
		k.next = until
	}
}

// rest asks a venue's REST API.
type rest struct {
	client  *http.Client
	bucket  *bucket
	every   time.Duration
	account *feed.Account
}

// newClient returns a client that keeps what headers say to the host they were meant for.
func newClient() *http.Client {
	return &http.Client{
		Timeout: 20 * time.Second,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 5 || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
}

// get asks once, when it is time to. Errors don't tell the address, which may hold a key.
func (r *rest) get(ctx context.Context, asked *venue.Request) (*venue.Reply, error) {
	if asked.Hold > 0 {
		r.bucket.hold(asked.Hold)
	}
	if err := r.bucket.wait(ctx, r.every); err != nil {
		return nil, context.Cause(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, asked.URL, http.NoBody)
	if err != nil {
		return nil, errors.New("ask the REST API: its address is not valid")
	}
	maps.Copy(req.Header, asked.Header)
	req.Header.Set("User-Agent", "tapedeck")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", req.URL.Host, withoutURL(err))
	}
	defer resp.Body.Close()
	r.date(resp.Header)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", req.URL.Host, withoutURL(err))
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the answer of %s is larger than %d bytes", req.URL.Host, maxBody)
	}
	return &venue.Reply{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// date takes a reading of the venue's clock from an answer, which tells whole seconds.
func (r *rest) date(h http.Header) {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		r.account.Clock(market.FromStd(t), now())
	}
}

// wait waits until a request may be tried again.
func (r *rest) wait(ctx context.Context, b *feed.Backoff, err error, scale time.Duration) error {
	var after time.Duration
	if retry := new(venue.RetryError); errors.As(err, &retry) {
		after = retry.After
		r.bucket.hold(after / scale) // Who is told to wait by one answer waits with all.
	}
	return pause(ctx, b.Pause(after)/scale)
}

// withoutURL returns what went wrong without the address, which may hold a key.
func withoutURL(err error) error {
	for {
		var u *url.Error
		if !errors.As(err, &u) {
			return err
		}
		err = u.Err
	}
}
