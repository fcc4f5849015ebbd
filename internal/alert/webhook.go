package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"tapedeck/internal/market"
)

// WebhookOptions say how alarms are posted.
type WebhookOptions struct {
	// Secret signs each request, when it is set; see docs/alerts.md.
	Secret string

	// Private lists networks that are not public and may be posted to all the same; loopback is one of them.
	Private []netip.Prefix
}

// How a delivery that failed is tried again.
const (
	firstRetry   = 2 * time.Second
	longestRetry = 30 * time.Minute
	giveUpAfter  = 24 * time.Hour
	patience     = 10 * time.Second // with one attempt
	atOnce       = 16               // targets that are posted to at the same time
)

// errPrivate is why an address is not posted to.
var errPrivate = errors.New("not a public address; alerts.webhook_networks can allow it")

// allowed reports whether an address may be posted to. It is asked with what a name was resolved to, right before connecting, so
// that a name that changes its address does not get around it.
func (o *WebhookOptions) allowed(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range o.Private {
		if p.Contains(a) {
			return true
		}
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range reserved() {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// reserved are the networks that are not public though netip does not say so (RFC 6890 and its registries).
func reserved() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
	} {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

// checkTarget refuses an address that no alarm could be posted to.
func checkTarget(target string) error {
	u, err := url.Parse(target)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("want an address such as https://example.com/hook")
	case len(target) > 2000:
		return errors.New("longer than 2000 bytes")
	case u.User != nil:
		return errors.New("want no name and password in the address; use a secret path, or check the signature")
	}
	return nil
}

// client returns what posts: it keeps to allowed addresses, follows no redirects and knows no proxy.
func (o *WebhookOptions) client() *http.Client {
	dialer := &net.Dialer{Timeout: patience, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !o.allowed(at.Addr()) {
			return fmt.Errorf("%s: %w", at.Addr(), errPrivate)
		}
		return nil
	}}
	return &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: patience, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Message is what is posted.
type Message struct {
	ID       string         `json:"id"` // of the alarm; the same at each attempt
	Rule     string         `json:"rule"`
	Name     string         `json:"name"`
	Symbol   market.Symbol  `json:"symbol"`
	Seq      uint64         `json:"seq"`
	Time     string         `json:"timestamp"`
	Price    market.Decimal `json:"price"`
	Text     string         `json:"text"`
	Severity Severity       `json:"severity"`
}

// delivery is an alarm that waits for a target.
type delivery struct {
	n        int64
	target   string
	since    int64
	attempts int
	message  Message
}

// deliver delivers until ctx is done. Targets are independent of each other: a slow one delays no other. The alarms of one target go
// in order, one at a time.
func (e *Engine) deliver(ctx context.Context) {
	client := e.o.Webhooks.client()
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, atOnce)
	var mu sync.Mutex
	busy := map[string]bool{}
	for {
		mu.Lock()
		due, next, err := e.ledger.due(ctx, time.Now(), busy)
		for _, d := range due {
			busy[d.target] = true
		}
		mu.Unlock()
		if err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "deliveries can't be looked up", "error", err)
			next = time.Now().Add(longestRetry / 60)
		}
		for _, d := range due {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				e.attempt(ctx, client, d)
				<-places
				mu.Lock()
				delete(busy, d.target)
				mu.Unlock()
				e.wake()
			})
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-e.waiting:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// attempt posts one alarm, and notes what came of it.
func (e *Engine) attempt(ctx context.Context, client *http.Client, d delivery) {
	err := post(ctx, client, e.o.Webhooks.Secret, &d)
	if ctx.Err() != nil {
		return // it is still waiting, and tried at the next start
	}
	now := time.Now()
	state, text, outcome := "delivered", "", "delivered"
	pause := time.Duration(0)
	if err != nil {
		state, text, outcome = "waiting", err.Error(), "failed"
		pause = min(firstRetry<<min(d.attempts, 20), longestRetry)
		pause = pause/2 + rand.N(pause/2+1)
		if now.Add(pause).Sub(time.Unix(0, d.since)) > giveUpAfter {
			state, outcome = "given up", "given up"
			e.log.ErrorContext(ctx, "an alarm could not be delivered", "alarm", d.message.ID, "attempts", d.attempts+1, "error", text)
		}
	}
	e.metrics.delivered.WithLabelValues("webhook", outcome).Inc()
	err = e.ledger.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE deliveries SET state = ?, error = ?, attempts = attempts + 1, next = ? WHERE alarm = ? AND target = ?",
			state, text, now.Add(pause).UnixNano(), d.n, d.target)
		return err
	})
	if err != nil && ctx.Err() == nil {
		e.log.WarnContext(ctx, "a delivery can't be noted; it will come again", "alarm", d.message.ID, "error", err)
	}
}

// post posts one alarm. Any answer of 200 to 299 is a delivery. The errors hold no part of the address but its host: paths are secrets.
func post(ctx context.Context, client *http.Client, secret string, d *delivery) error {
	body, err := json.Marshal(d.message)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.target, bytes.NewReader(body))
	if err != nil {
		return errors.New("bad address")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "tapedeck")
	request.Header.Set("Idempotency-Key", strconv.Quote(d.message.ID))
	if secret != "" {
		at := strconv.FormatInt(time.Now().Unix(), 10)
		request.Header.Set("Tapedeck-Signature", "t="+at+",v1="+Sign(secret, at, body))
	}
	response, err := client.Do(request)
	if err != nil {
		if u := new(url.Error); errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("post to %s: %w", request.URL.Host, err)
	}
	_, _ = io.CopyN(io.Discard, response.Body, 4096) // so that the connection can be used again
	if err := response.Body.Close(); err != nil || response.StatusCode/100 != 2 {
		return fmt.Errorf("post to %s: answered %d", request.URL.Host, response.StatusCode)
	}
	return nil
}

// Sign returns the signature of a request: HMAC-SHA-256, in hexadecimal, of the Unix time in seconds, a dot, and the body.
func Sign(secret, at string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// due returns the deliveries whose time has come, the oldest of each target that is not busy, and when to look again.
func (l *ledger) due(ctx context.Context, now time.Time, busy map[string]bool) (list []delivery, next time.Time, err error) {
	next = now.Add(time.Hour)
	// From target to target, so that a queue of millions for one that is dead costs no more than one.
	rows, err := l.db.QueryContext(ctx, `WITH RECURSIVE waits (target) AS (
			SELECT MIN(target) FROM deliveries WHERE state = 'waiting'
			UNION ALL SELECT (SELECT MIN(target) FROM deliveries WHERE state = 'waiting' AND target > waits.target) FROM waits WHERE waits.target IS NOT NULL)
		SELECT d.alarm, d.target, d.since, d.attempts, d.next, a.id, a.rule, a.name, a.symbol, a.seq, a.event, a.price, a.text, a.severity
		FROM waits JOIN deliveries d ON d.target = waits.target AND d.alarm = (SELECT MIN(o.alarm) FROM deliveries o WHERE o.state = 'waiting' AND o.target = waits.target)
		JOIN alarms a ON a.n = d.alarm`)
	if err != nil {
		return nil, next, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var d delivery
		var due int64
		var event market.Time
		var price string
		m := &d.message
		err := rows.Scan(&d.n, &d.target, &d.since, &d.attempts, &due, &m.ID, &m.Rule, &m.Name, &m.Symbol, &m.Seq, &event, &price, &m.Text, &m.Severity)
		if err != nil {
			return nil, next, err
		}
		m.Time = event.String()
		if m.Price, err = market.ParseDecimal(price); err != nil {
			return nil, next, err
		}
		switch at := time.Unix(0, due); {
		case busy[d.target]:
		case at.After(now):
			if at.Before(next) {
				next = at
			}
		default:
			list = append(list, d)
		}
	}
	return list, next, rows.Err()
}
