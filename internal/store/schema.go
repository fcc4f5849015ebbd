package store

import (
	"fmt"
	"strings"

	"tapedeck/internal/market"
)

// The format of the file. A file of a newer major version is refused, one of a newer minor version is read: a minor version
// only adds tables and columns. Since 2.0 closed bars of 1 s are in pages, which a program of before would not find.
const (
	formatMajor = 2
	formatMinor = 0

	// userVersion is what PRAGMA user_version holds: major × 1000 + minor.
	userVersion = formatMajor*1000 + formatMinor

	// applicationID is what PRAGMA application_id holds: "TDCK". It tells file(1) and us whose file this is.
	applicationID = 0x5444434b
)

// tables are the tables of format 1.0; doc.go tells what is in them.
//
// Ticks have no foreign keys: the recorder is the only writer, a check costs a fifth of the time of an insert, and
// Verify makes it once for all rows.
const tables = `
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE tape (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  epoch      TEXT    NOT NULL,
  position   INTEGER NOT NULL,
  entries    INTEGER NOT NULL,
  lost       INTEGER NOT NULL,
  high_water INTEGER NOT NULL
);

CREATE TABLE epochs (
  since INTEGER PRIMARY KEY,
  epoch TEXT NOT NULL
);

CREATE TABLE feeds (
  feed  TEXT PRIMARY KEY,
  clock INTEGER
) WITHOUT ROWID;

CREATE TABLE symbols (
  id            INTEGER PRIMARY KEY,
  symbol        TEXT NOT NULL UNIQUE,
  feed          TEXT NOT NULL,
  trades        INTEGER NOT NULL,
  trade_seq     INTEGER NOT NULL,
  trade_first   INTEGER,
  trade_last    INTEGER,
  newest_trade  INTEGER,
  newest_trade_time INTEGER,
  quotes        INTEGER NOT NULL,
  quote_seq     INTEGER NOT NULL,
  quote_first   INTEGER,
  quote_last    INTEGER,
  newest_quote  INTEGER,
  newest_quote_time INTEGER
);

CREATE TABLE forms (
  id           INTEGER PRIMARY KEY,
  price_exp    INTEGER NOT NULL,
  size_exp     INTEGER NOT NULL,
  ask_exp      INTEGER NOT NULL,
  ask_size_exp INTEGER NOT NULL,
  side         INTEGER NOT NULL,
  flags        INTEGER NOT NULL,
  tape         INTEGER NOT NULL,
  exchange     TEXT NOT NULL,
  ask_from     TEXT NOT NULL,
  conditions   TEXT NOT NULL,
  UNIQUE (price_exp, size_exp, ask_exp, ask_size_exp, side, flags, tape, exchange, ask_from, conditions)
);

CREATE TABLE trade_rows (
  symbol INTEGER NOT NULL,
  event  INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  n      INTEGER NOT NULL,
  delay  INTEGER NOT NULL,
  price  INTEGER NOT NULL,
  size   INTEGER NOT NULL,
  id,
  form   INTEGER NOT NULL,
  PRIMARY KEY (symbol, event, seq)
) WITHOUT ROWID;

CREATE TABLE quote_rows (
  symbol   INTEGER NOT NULL,
  event    INTEGER NOT NULL,
  seq      INTEGER NOT NULL,
  n        INTEGER NOT NULL,
  delay    INTEGER NOT NULL,
  bid      INTEGER NOT NULL,
  bid_size INTEGER NOT NULL,
  ask      INTEGER NOT NULL,
  ask_size INTEGER NOT NULL,
  form     INTEGER NOT NULL,
  PRIMARY KEY (symbol, event, seq)
) WITHOUT ROWID;

-- The intervals that are kept as ticks arrive. 5m and 15m are few rows and spare the charts of minutes thousands; of seconds there is only one,
-- because most symbols trade so seldom that every further one would be as large as the first.
-- Files of the first release have 1s, 1m, 1h and 1d.
CREATE TABLE intervals (
  seconds  INTEGER PRIMARY KEY,
  interval TEXT NOT NULL UNIQUE
);
INSERT INTO intervals VALUES (1, '1s'), (60, '1m'), (300, '5m'), (900, '15m'), (3600, '1h'), (86400, '1d');

CREATE TABLE bar_rows (
  symbol     INTEGER NOT NULL,
  interval   INTEGER NOT NULL,
  start      INTEGER NOT NULL,
  "end"      INTEGER NOT NULL,
  open       INTEGER NOT NULL,
  high       INTEGER NOT NULL,
  low        INTEGER NOT NULL,
  close      INTEGER NOT NULL,
  open_exp   INTEGER NOT NULL,
  high_exp   INTEGER NOT NULL,
  low_exp    INTEGER NOT NULL,
  close_exp  INTEGER NOT NULL,
  volume     TEXT NOT NULL,
  turnover   TEXT NOT NULL,
  count      INTEGER NOT NULL,
  open_at    INTEGER NOT NULL,
  open_seq   INTEGER NOT NULL,
  close_at   INTEGER NOT NULL,
  close_seq  INTEGER NOT NULL,
  first_seq  INTEGER NOT NULL,
  last_seq   INTEGER NOT NULL,
  rev        INTEGER NOT NULL,
  final      INTEGER NOT NULL,
  gappy      INTEGER NOT NULL,
  priced     INTEGER NOT NULL,
  PRIMARY KEY (symbol, interval, start)
) WITHOUT ROWID;
CREATE INDEX bar_rows_open ON bar_rows (symbol) WHERE final = 0;

CREATE TABLE gap_rows (
  id       INTEGER PRIMARY KEY,
  cause    TEXT NOT NULL,
  symbol   INTEGER,
  feed     TEXT NOT NULL,
  since    INTEGER NOT NULL,
  until    INTEGER NOT NULL,
  reason   TEXT NOT NULL,
  flags    INTEGER NOT NULL,
  lost     INTEGER NOT NULL,
  position INTEGER NOT NULL,
  through  INTEGER NOT NULL
);
CREATE INDEX gap_rows_by_symbol ON gap_rows (symbol, since);
`

// archiveTables are the tables of the archive, new in format 1.1. A number of archived is never given to another file, for it is part of the file's name.
const archiveTables = `
CREATE TABLE archived (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  kind        INTEGER NOT NULL,
  symbol      INTEGER NOT NULL,
  day         INTEGER NOT NULL,
  state       INTEGER NOT NULL,
  rows        INTEGER NOT NULL,
  bytes       INTEGER NOT NULL,
  first_event INTEGER NOT NULL,
  first_seq   INTEGER NOT NULL,
  last_event  INTEGER NOT NULL,
  last_seq    INTEGER NOT NULL,
  max_seq     INTEGER NOT NULL,
  through     INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  sum         TEXT    NOT NULL,
  file        TEXT    NOT NULL
);
CREATE INDEX archived_by_symbol ON archived (symbol, kind, day);
CREATE INDEX archived_by_day ON archived (day);
CREATE INDEX archived_unsettled ON archived (state) WHERE state <> 3;

CREATE TABLE archive_removed (
  symbol INTEGER NOT NULL,
  kind   INTEGER NOT NULL,
  rows   INTEGER NOT NULL,
  until  INTEGER NOT NULL,
  PRIMARY KEY (symbol, kind)
) WITHOUT ROWID;
`

// addition is what a version added.
type addition struct {
	version int
	steps   []string
}

// additions returns the tables that each version behind 1.0 added, in order. What is in the file already stays as it is.
func additions() []addition {
	return []addition{
		{1001, append([]string{archiveTables, importedTables, coverageTables}, coverageFill()...)},
		{2000, []string{pagesTable}},
	}
}

// views returns the statements that make the readable views. A migration runs them again.
func views() []string {
	return append(importedView(), []string{
		"DROP VIEW IF EXISTS trades",
		`CREATE VIEW trades AS SELECT
  s.symbol AS symbol,
  ` + timeText("r.event") + ` AS time,
  r.event AS time_ns,
  r.seq AS seq,
  ` + decimalText("r.price", "f.price_exp") + ` AS price,
  ` + decimalText("r.size", "f.size_exp") + ` AS size,
  CASE f.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' ELSE '' END AS side,
  CASE WHEN typeof(r.id) = 'blob' THEN CAST(r.id AS TEXT) ELSE r.id END AS id,
  f.exchange AS exchange,
  f.conditions AS conditions,
  ` + tapeText + ` AS tape,
  ` + timeText("r.event + r.delay") + ` AS received,
  r.event + r.delay AS received_ns,
  ` + flagsText("f.flags") + ` AS flags,
  r.n AS n
FROM trade_rows r JOIN symbols s ON s.id = r.symbol JOIN forms f ON f.id = r.form`,

		"DROP VIEW IF EXISTS quotes",
		`CREATE VIEW quotes AS SELECT
  s.symbol AS symbol,
  ` + timeText("r.event") + ` AS time,
  r.event AS time_ns,
  r.seq AS seq,
  ` + decimalText("r.bid", "f.price_exp") + ` AS bid,
  ` + decimalText("r.bid_size", "f.size_exp") + ` AS bid_size,
  ` + decimalText("r.ask", "f.ask_exp") + ` AS ask,
  ` + decimalText("r.ask_size", "f.ask_size_exp") + ` AS ask_size,
  f.exchange AS bid_exchange,
  CASE f.ask_from WHEN '' THEN f.exchange ELSE f.ask_from END AS ask_exchange,
  f.conditions AS conditions,
  ` + tapeText + ` AS tape,
  ` + timeText("r.event + r.delay") + ` AS received,
  r.event + r.delay AS received_ns,
  ` + flagsText("f.flags") + ` AS flags,
  r.n AS n
FROM quote_rows r JOIN symbols s ON s.id = r.symbol JOIN forms f ON f.id = r.form`,

		"DROP VIEW IF EXISTS bars",
		`CREATE VIEW bars AS SELECT
  s.symbol AS symbol,
  i.interval AS interval,
  ` + timeText("b.start") + ` AS time,
  b.start AS time_ns,
  b."end" AS end_ns,
  ` + decimalText("b.open", "b.open_exp") + ` AS open,
  ` + decimalText("b.high", "b.high_exp") + ` AS high,
  ` + decimalText("b.low", "b.low_exp") + ` AS low,
  ` + decimalText("b.close", "b.close_exp") + ` AS close,
  b.volume AS volume,
  b.turnover AS turnover,
  b.count AS trades,
  b.rev AS rev,
  b.final AS final,
  b.gappy AS gappy
FROM bar_rows b JOIN symbols s ON s.id = b.symbol JOIN intervals i ON i.seconds = b.interval WHERE b.priced`,

		"DROP VIEW IF EXISTS gaps",
		`CREATE VIEW gaps AS SELECT
  g.cause AS cause,
  s.symbol AS symbol,
  g.feed AS feed,
  ` + timeText("g.since") + ` AS since,
  g.since AS since_ns,
  ` + timeText("g.until") + ` AS until,
  g.until AS until_ns,
  g.reason AS reason,
  ` + flagsText("g.flags") + ` AS flags,
  g.lost AS lost,
  g.position AS position,
  g.through AS through
FROM gap_rows g LEFT JOIN symbols s ON s.id = g.symbol`,

		"DROP VIEW IF EXISTS archive",
		`CREATE VIEW archive AS SELECT
  CASE a.kind WHEN 1 THEN 'trades' ELSE 'quotes' END AS kind,
  s.symbol AS symbol,
  date(a.day * 86400, 'unixepoch') AS date,
  a.file AS file,
  a.rows AS rows,
  a.bytes AS bytes,
  ` + timeText("a.first_event") + ` AS first,
  a.first_event AS first_ns,
  ` + timeText("a.last_event") + ` AS last,
  a.last_event AS last_ns,
  a.sum AS sha256
FROM archived a JOIN symbols s ON s.id = a.symbol WHERE a.state IN (2, 3)`,
	}...)
}

// decimalText returns an expression for the text of coef × 10^exp exactly as market.Decimal writes it.
func decimalText(coef, exp string) string {
	zeros := strings.Repeat("0", market.MaxExp)
	// At least one digit stands before the point.
	digits := fmt.Sprintf("printf('%%0*d', 1 - %s, abs(%s))", exp, coef)
	return fmt.Sprintf("CASE WHEN %[2]s = 0 THEN CAST(%[1]s AS TEXT)"+
		" WHEN %[2]s > 0 THEN CASE %[1]s WHEN 0 THEN '0' ELSE %[1]s || substr('%[3]s', 1, %[2]s) END"+
		" ELSE CASE WHEN %[1]s < 0 THEN '-' ELSE '' END"+
		" || substr(%[4]s, 1, length(%[4]s) + %[2]s) || '.' || substr(%[4]s, %[2]s) END",
		coef, exp, zeros, digits)
}

// timeText returns an expression for a time in nanoseconds as RFC 3339 with all nine digits, so that the texts sort as the
// times do. An unknown time is NULL.
func timeText(ns string) string {
	return fmt.Sprintf("CASE WHEN %[1]s <> 0 THEN"+
		" strftime('%%Y-%%m-%%dT%%H:%%M:%%S', (%[1]s) / 1000000000 - ((%[1]s) %% 1000000000 < 0), 'unixepoch')"+
		" || printf('.%%09dZ', ((%[1]s) %% 1000000000 + 1000000000) %% 1000000000) END", ns)
}

// tapeText is the consolidated tape as a letter.
const tapeText = "CASE f.tape WHEN 0 THEN '' ELSE char(f.tape) END"

// flagsText returns an expression that spells flags out, joined by spaces.
func flagsText(flags string) string {
	var b strings.Builder
	b.WriteString("trim(")
	for i, name := range []string{"backfilled", "imported", "no_event_time", "damage", "filled", "history"} {
		if i > 0 {
			b.WriteString(" || ")
		}
		fmt.Fprintf(&b, "CASE WHEN %s & %d THEN '%s ' ELSE '' END", flags, 1<<i, name)
	}
	b.WriteString(")")
	return b.String()
}
