package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// ledgerFormat is kept in the file as user_version. A file of a later one is refused.
const ledgerFormat = 1

// keepDelivered is how long it is known what came of a delivery. The alarms themselves are kept.
const keepDelivered = 30 * 24 * time.Hour

// ErrFormat is wrapped when the file of alerts was written by a later version.
var ErrFormat = errors.New("the file of alerts is of a later version of the program")

// ledgerSchema is what the file holds. Times are UTC nanoseconds; prices are the venue's digits.
const ledgerSchema = `
CREATE TABLE rules (
	id TEXT PRIMARY KEY,
	rule TEXT NOT NULL, -- as the API shows it
	changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE alarms (
	n INTEGER PRIMARY KEY, -- 1, 2, 3 … in the order in which they fired
	id TEXT NOT NULL UNIQUE,
	rule TEXT NOT NULL,
	name TEXT NOT NULL, -- of the rule when it fired
	symbol TEXT NOT NULL,
	seq INTEGER NOT NULL,
	event INTEGER NOT NULL,
	price TEXT NOT NULL,
	text TEXT NOT NULL,
	severity TEXT NOT NULL,
	acknowledged INTEGER -- when, NULL while nobody has
);
CREATE INDEX alarms_by_event ON alarms (event);
CREATE TABLE deliveries (
	alarm INTEGER NOT NULL REFERENCES alarms (n),
	target TEXT NOT NULL,
	since INTEGER NOT NULL, -- when it was put here, by the clock of the machine
	attempts INTEGER NOT NULL DEFAULT 0,
	next INTEGER NOT NULL,
	state TEXT NOT NULL DEFAULT 'waiting', -- delivered, given up
	error TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (alarm, target)
) WITHOUT ROWID;
CREATE INDEX deliveries_waiting ON deliveries (target, alarm) WHERE state = 'waiting';
CREATE TABLE place ( -- where the book stands on the tape
	one INTEGER PRIMARY KEY CHECK (one = 1),
	epoch BLOB NOT NULL,
	position INTEGER NOT NULL, -- of the last record that is in the book
	book BLOB NOT NULL
);`

// ledger is the file in which rules, alarms and the state of the book are kept. Many may read it; one goroutine writes the place and the
// alarms.
type ledger struct{ db *sql.DB }

// openLedger opens the file, making it when it is not there.
func openLedger(ctx context.Context, path string) (*ledger, error) {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "trusted_schema(0)"} {
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(4)
	l := &ledger{db}
	if err := l.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return l, nil
}

func (l *ledger) prepare(ctx context.Context) error {
	var version int
	if err := l.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch {
	case version == ledgerFormat:
		_, err := l.db.ExecContext(ctx, "DELETE FROM deliveries WHERE state <> 'waiting' AND since < ?", time.Now().Add(-keepDelivered).UnixNano())
		return err
	case version > ledgerFormat:
		return fmt.Errorf("%w: format %d, known is %d", ErrFormat, version, ledgerFormat)
	}
	return l.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, ledgerSchema); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", ledgerFormat))
		return err
	})
}

// write runs f in a transaction.
func (l *ledger) write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (l *ledger) close() error { return l.db.Close() }

// rules returns the rules by id.
func (l *ledger) rules(ctx context.Context) (list []Rule, err error) {
	rows, err := l.db.QueryContext(ctx, "SELECT id, rule FROM rules ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return nil, err
		}
		var r Rule
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, fmt.Errorf("rule %s: %w", id, err)
		}
		r.ID = id
		list = append(list, r)
	}
	return list, rows.Err()
}

// place returns where the book stood, and it; position 0 when it never stood anywhere.
func (l *ledger) place(ctx context.Context) (epoch tape.Epoch, position tape.Position, book []byte, err error) {
	var raw []byte
	var at int64
	err = l.db.QueryRowContext(ctx, "SELECT epoch, position, book FROM place").Scan(&raw, &at, &book)
	if errors.Is(err, sql.ErrNoRows) {
		return epoch, 0, nil, nil
	}
	copy(epoch[:], raw)
	return epoch, tape.Position(at), book, err
}

// stand writes where the book stands.
func stand(ctx context.Context, tx *sql.Tx, epoch tape.Epoch, position tape.Position, book []byte) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO place (one, epoch, position, book) VALUES (1, ?, ?, ?)", epoch[:], int64(position), book)
	return err
}

// note writes alarms down, those that are there already excepted, with what is to be delivered. names and targets are those of rules.
func note(ctx context.Context, tx *sql.Tx, alarms []Alarm, rules map[string]*Rule, now time.Time) error {
	for _, a := range alarms {
		r := rules[a.Rule]
		name := a.Rule
		var targets []string
		if r != nil {
			name, targets = r.Name, r.Webhooks
		}
		result, err := tx.ExecContext(ctx, `INSERT INTO alarms (id, rule, name, symbol, seq, event, price, text, severity)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			a.ID, a.Rule, name, string(a.Symbol), int64(a.Seq), int64(a.Event), a.Price.String(), a.Text, string(a.Severity))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return err
			}
			continue
		}
		n, err := result.LastInsertId()
		if err != nil {
			return err
		}
		for _, target := range targets {
			if _, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO deliveries (alarm, target, since, next) VALUES (?, ?, ?, ?)",
				n, target, now.UnixNano(), now.UnixNano()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Fired is an alarm of the past.
type Fired struct {
	N            int64 // 1, 2, 3 …
	Alarm        Alarm
	Name         string      // of its rule, when it fired
	Acknowledged market.Time // 0 while nobody has
}

// Query selects alarms of the past.
type Query struct {
	Rule     string        // "" all
	Symbol   market.Symbol // "" all
	From, To market.Time   // of the event, [From, To); 0 no bound
	Before   int64         // only those with a smaller number; 0 no bound
	Limit    int           // 0: 100
}

// fired returns alarms, the newest first.
func (l *ledger) fired(ctx context.Context, q Query) (list []Fired, err error) {
	var where []string
	var args []any
	add := func(cond string, arg any) { where, args = append(where, cond), append(args, arg) }
	if q.Rule != "" {
		add("rule = ?", q.Rule)
	}
	if q.Symbol != "" {
		add("symbol = ?", string(q.Symbol))
	}
	if q.From != 0 {
		add("event >= ?", int64(q.From))
	}
	if q.To != 0 {
		add("event < ?", int64(q.To))
	}
	if q.Before != 0 {
		add("n < ?", q.Before)
	}
	text := "SELECT n, id, rule, name, symbol, seq, event, price, text, severity, COALESCE(acknowledged, 0) FROM alarms"
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	rows, err := l.db.QueryContext(ctx, text+" ORDER BY n DESC LIMIT ?", append(args, q.Limit)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var f Fired
		var price string
		a := &f.Alarm
		err := rows.Scan(&f.N, &a.ID, &a.Rule, &f.Name, &a.Symbol, &a.Seq, &a.Event, &price, &a.Text, &a.Severity, &f.Acknowledged)
		if err != nil {
			return nil, err
		}
		if a.Price, err = market.ParseDecimal(price); err != nil {
			return nil, fmt.Errorf("alarm %s: %w", a.ID, err)
		}
		list = append(list, f)
	}
	return list, rows.Err()
}
