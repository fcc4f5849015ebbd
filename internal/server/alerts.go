package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"tapedeck/internal/alert"
	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
)

// openAlerts opens the rules, and what they have in mind. A file that can't be opened keeps only alerts from running: /readyz and the
// log say so.
func (n *node) openAlerts(ctx context.Context) error {
	c := &n.opts.Config
	hooks, err := webhooks(c)
	if err != nil {
		return err
	}
	engine, err := alert.Open(ctx, alert.Options{
		Path: filepath.Join(c.Data, "alerts.db"), Tape: n.tape, Calendars: n.calendars, Logger: n.log.With("part", "alert"), Registerer: n.metrics,
		Webhooks: hooks,
	})
	switch {
	case errors.Is(err, alert.ErrFormat):
		return refused(err, alert.ErrFormat)
	case err != nil:
		n.log.ErrorContext(ctx, "alerts do not run", "error", err)
		n.noAlerts = fmt.Errorf("alerts do not run: %w", err)
	default:
		n.alerts = engine
	}
	return nil
}

// webhooks reads how alarms are posted.
func webhooks(c *Config) (o alert.WebhookOptions, err error) {
	for _, s := range c.WebhookNetworks {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return o, fmt.Errorf("alerts.webhook_networks: %q is not a network, such as 192.168.1.0/24", s)
		}
		o.Private = append(o.Private, p)
	}
	if c.WebhookSecret == "" {
		return o, nil
	}
	secret, err := os.ReadFile(c.WebhookSecret)
	if err != nil {
		return o, fmt.Errorf("alerts.webhook_secret_file: %w", err)
	}
	if o.Secret = strings.TrimSpace(string(secret)); o.Secret == "" {
		return o, fmt.Errorf("alerts.webhook_secret_file: %s is empty", c.WebhookSecret)
	}
	return o, nil
}

// ruleBook is the engine as the gateway's clients see it: in JSON.
type ruleBook struct{ engine *alert.Engine }

var _ gateway.Alerts = ruleBook{}

// Rules implements gateway.Alerts.
func (b ruleBook) Rules() ([]json.RawMessage, error) {
	rules := b.engine.Rules()
	list := make([]json.RawMessage, len(rules))
	for i, r := range rules {
		var err error
		if list[i], err = ruleJSON(&r); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// ruleJSON writes a rule so that its conditions can be read.
func ruleJSON(r *alert.Rule) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(r)
	return bytes.TrimSpace(b.Bytes()), err
}

// Rule implements gateway.Alerts.
func (b ruleBook) Rule(id string) (json.RawMessage, error) {
	for _, r := range b.engine.Rules() {
		if r.ID == id {
			return ruleJSON(&r)
		}
	}
	return nil, fmt.Errorf("%w: %.80q", gateway.ErrNoAlert, id)
}

// PutRule implements gateway.Alerts.
func (b ruleBook) PutRule(ctx context.Context, id string, body []byte) (json.RawMessage, error) {
	var r alert.Rule
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", gateway.ErrAlert, err)
	}
	if id != "" && r.ID != "" && r.ID != id {
		return nil, fmt.Errorf("%w: its id is %.80q, that of the address %.80q", gateway.ErrAlert, r.ID, id)
	}
	if id != "" {
		r.ID = id
	}
	r, err := b.engine.Put(ctx, r)
	if errors.Is(err, alert.ErrRule) {
		return nil, as(gateway.ErrAlert, err)
	}
	if err != nil {
		return nil, err
	}
	return ruleJSON(&r)
}

// asError is an error that the gateway knows under another name.
type asError struct {
	error
	known error
}

func (e *asError) Unwrap() []error { return []error{e.error, e.known} }

// as marks an error of the engine as one that the gateway knows; what it says stays.
func as(known, err error) error { return &asError{err, known} }

// DeleteRule implements gateway.Alerts.
func (b ruleBook) DeleteRule(ctx context.Context, id string) error {
	return missing(b.engine.Delete(ctx, id))
}

// Acknowledge implements gateway.Alerts.
func (b ruleBook) Acknowledge(ctx context.Context, n int64) error {
	return missing(b.engine.Acknowledge(ctx, n))
}

func missing(err error) error {
	if errors.Is(err, alert.ErrNoRule) || errors.Is(err, alert.ErrRule) {
		return as(gateway.ErrNoAlert, err)
	}
	return err
}

// Fired implements gateway.Alerts.
func (b ruleBook) Fired(ctx context.Context, q gateway.AlertQuery) ([]gateway.FiredAlert, error) {
	list, err := b.engine.Fired(ctx, alert.Query{Rule: q.Rule, Symbol: q.Symbol, From: q.From, To: q.To, Before: q.Before, Limit: q.Limit})
	if err != nil {
		return nil, err
	}
	fired := make([]gateway.FiredAlert, len(list))
	for i, f := range list {
		fired[i] = firedAlert(&f.Alarm, f.Name)
		fired[i].N, fired[i].Acknowledged = f.N, moment(f.Acknowledged)
	}
	return fired, nil
}

func firedAlert(a *alert.Alarm, name string) gateway.FiredAlert {
	return gateway.FiredAlert{
		ID: a.ID, Rule: a.Rule, Name: name, Symbol: a.Symbol, Seq: a.Seq, Time: moment(a.Event), Price: a.Price, Text: a.Text, Severity: string(a.Severity),
	}
}

// moment writes a time, "" for none.
func moment(t market.Time) string {
	if t == 0 {
		return ""
	}
	return t.String()
}
