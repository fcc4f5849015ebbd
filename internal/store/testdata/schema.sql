CREATE INDEX archived_by_day ON archived (day);
CREATE INDEX archived_by_symbol ON archived (symbol, kind, day);
CREATE INDEX archived_unsettled ON archived (state) WHERE state <> 3;
CREATE UNIQUE INDEX bar_pages_by_start ON bar_pages (symbol, interval, start);
CREATE INDEX bar_rows_open ON bar_rows (symbol) WHERE final = 0;
CREATE INDEX gap_rows_by_symbol ON gap_rows (symbol, since);
CREATE TABLE archive_removed (
  symbol INTEGER NOT NULL,
  kind   INTEGER NOT NULL,
  rows   INTEGER NOT NULL,
  until  INTEGER NOT NULL,
  PRIMARY KEY (symbol, kind)
) WITHOUT ROWID;
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
CREATE TABLE bar_pages (
  id       INTEGER PRIMARY KEY,
  symbol   INTEGER NOT NULL,
  interval INTEGER NOT NULL,
  start    INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  count    INTEGER NOT NULL,
  data     BLOB    NOT NULL
);
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
CREATE TABLE coverage_rows (
  symbol INTEGER NOT NULL,
  feed   TEXT    NOT NULL,
  origin INTEGER NOT NULL,
  since  INTEGER NOT NULL,
  until  INTEGER NOT NULL,
  known  INTEGER NOT NULL,
  PRIMARY KEY (symbol, feed, origin, since)
) WITHOUT ROWID;
CREATE TABLE epochs (
  since INTEGER PRIMARY KEY,
  epoch TEXT NOT NULL
);
CREATE TABLE feeds (
  feed  TEXT PRIMARY KEY,
  clock INTEGER
) WITHOUT ROWID;
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
CREATE TABLE imported_bar_rows (
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
  volume     TEXT,
  count      INTEGER NOT NULL,
  PRIMARY KEY (symbol, interval, start)
) WITHOUT ROWID;
CREATE TABLE imported_intervals (
  seconds  INTEGER PRIMARY KEY,
  interval TEXT NOT NULL UNIQUE
);
CREATE TABLE intervals (
  seconds  INTEGER PRIMARY KEY,
  interval TEXT NOT NULL UNIQUE
);
CREATE TABLE late_rows (
  symbol   INTEGER NOT NULL,
  hour     INTEGER NOT NULL,
  first    INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  received INTEGER NOT NULL,
  PRIMARY KEY (symbol, hour)
) WITHOUT ROWID;
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
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
CREATE TABLE sqlite_sequence(name,seq);
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
CREATE TABLE tape (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  epoch      TEXT    NOT NULL,
  position   INTEGER NOT NULL,
  entries    INTEGER NOT NULL,
  lost       INTEGER NOT NULL,
  high_water INTEGER NOT NULL
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
CREATE VIEW archive AS SELECT
  CASE a.kind WHEN 1 THEN 'trades' ELSE 'quotes' END AS kind,
  s.symbol AS symbol,
  date(a.day * 86400, 'unixepoch') AS date,
  a.file AS file,
  a.rows AS rows,
  a.bytes AS bytes,
  CASE WHEN a.first_event <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (a.first_event) / 1000000000 - ((a.first_event) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((a.first_event) % 1000000000 + 1000000000) % 1000000000) END AS first,
  a.first_event AS first_ns,
  CASE WHEN a.last_event <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (a.last_event) / 1000000000 - ((a.last_event) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((a.last_event) % 1000000000 + 1000000000) % 1000000000) END AS last,
  a.last_event AS last_ns,
  a.sum AS sha256
FROM archived a JOIN symbols s ON s.id = a.symbol WHERE a.state IN (2, 3);
CREATE VIEW bars AS SELECT
  s.symbol AS symbol,
  i.interval AS interval,
  CASE WHEN b.start <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (b.start) / 1000000000 - ((b.start) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((b.start) % 1000000000 + 1000000000) % 1000000000) END AS time,
  b.start AS time_ns,
  b."end" AS end_ns,
  CASE WHEN b.open_exp = 0 THEN CAST(b.open AS TEXT) WHEN b.open_exp > 0 THEN CASE b.open WHEN 0 THEN '0' ELSE b.open || substr('0000000000000000000000000000000000000000', 1, b.open_exp) END ELSE CASE WHEN b.open < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - b.open_exp, abs(b.open)), 1, length(printf('%0*d', 1 - b.open_exp, abs(b.open))) + b.open_exp) || '.' || substr(printf('%0*d', 1 - b.open_exp, abs(b.open)), b.open_exp) END AS open,
  CASE WHEN b.high_exp = 0 THEN CAST(b.high AS TEXT) WHEN b.high_exp > 0 THEN CASE b.high WHEN 0 THEN '0' ELSE b.high || substr('0000000000000000000000000000000000000000', 1, b.high_exp) END ELSE CASE WHEN b.high < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - b.high_exp, abs(b.high)), 1, length(printf('%0*d', 1 - b.high_exp, abs(b.high))) + b.high_exp) || '.' || substr(printf('%0*d', 1 - b.high_exp, abs(b.high)), b.high_exp) END AS high,
  CASE WHEN b.low_exp = 0 THEN CAST(b.low AS TEXT) WHEN b.low_exp > 0 THEN CASE b.low WHEN 0 THEN '0' ELSE b.low || substr('0000000000000000000000000000000000000000', 1, b.low_exp) END ELSE CASE WHEN b.low < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - b.low_exp, abs(b.low)), 1, length(printf('%0*d', 1 - b.low_exp, abs(b.low))) + b.low_exp) || '.' || substr(printf('%0*d', 1 - b.low_exp, abs(b.low)), b.low_exp) END AS low,
  CASE WHEN b.close_exp = 0 THEN CAST(b.close AS TEXT) WHEN b.close_exp > 0 THEN CASE b.close WHEN 0 THEN '0' ELSE b.close || substr('0000000000000000000000000000000000000000', 1, b.close_exp) END ELSE CASE WHEN b.close < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - b.close_exp, abs(b.close)), 1, length(printf('%0*d', 1 - b.close_exp, abs(b.close))) + b.close_exp) || '.' || substr(printf('%0*d', 1 - b.close_exp, abs(b.close)), b.close_exp) END AS close,
  b.volume AS volume,
  b.turnover AS turnover,
  b.count AS trades,
  b.rev AS rev,
  b.final AS final,
  b.gappy AS gappy
FROM bar_rows b JOIN symbols s ON s.id = b.symbol JOIN intervals i ON i.seconds = b.interval WHERE b.priced;
CREATE VIEW gaps AS SELECT
  g.cause AS cause,
  s.symbol AS symbol,
  g.feed AS feed,
  CASE WHEN g.since <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (g.since) / 1000000000 - ((g.since) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((g.since) % 1000000000 + 1000000000) % 1000000000) END AS since,
  g.since AS since_ns,
  CASE WHEN g.until <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (g.until) / 1000000000 - ((g.until) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((g.until) % 1000000000 + 1000000000) % 1000000000) END AS until,
  g.until AS until_ns,
  g.reason AS reason,
  trim(CASE WHEN g.flags & 1 THEN 'backfilled ' ELSE '' END || CASE WHEN g.flags & 2 THEN 'imported ' ELSE '' END || CASE WHEN g.flags & 4 THEN 'no_event_time ' ELSE '' END || CASE WHEN g.flags & 8 THEN 'damage ' ELSE '' END || CASE WHEN g.flags & 16 THEN 'filled ' ELSE '' END || CASE WHEN g.flags & 32 THEN 'history ' ELSE '' END) AS flags,
  g.lost AS lost,
  g.position AS position,
  g.through AS through
FROM gap_rows g LEFT JOIN symbols s ON s.id = g.symbol;
CREATE VIEW imported_bars AS SELECT
  s.symbol AS symbol,
  i.interval AS interval,
  CASE WHEN b.start <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (b.start) / 1000000000 - ((b.start) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((b.start) % 1000000000 + 1000000000) % 1000000000) END AS time,
  b.start AS time_ns,
  b."end" AS end_ns,
  CASE WHEN b.open_exp = 0 THEN CAST(b.open AS TEXT) WHEN b.open_exp > 0 THEN CASE b.open WHEN 0 THEN '0' ELSE b.open || substr('0000000000000000000000000000000000000000', 1, b.open_exp) END ELSE CASE WHEN b.open < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - b.open_exp, abs(b.open)), 1, length(printf('%0*d', 1 - b.open_exp, abs(b.open))) + b.open_exp) || '.' || substr(printf('%0*d', 1 - b.open_exp, abs(b.open)), b.open_exp) END AS open,
  CASE WHEN b.high_exp = 0 THEN CAST(b.high AS TEXT) WHEN b.high_exp > 0 THEN CASE b.high WHEN 0 THEN '0' ELSE b.high || substr('0000000000000000000000000000000000000000', 1, b.high_exp) END ELSE CASE WHEN b.high < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - b.high_exp, abs(b.high)), 1, length(printf('%0*d', 1 - b.high_exp, abs(b.high))) + b.high_exp) || '.' || substr(printf('%0*d', 1 - b.high_exp, abs(b.high)), b.high_exp) END AS high,
  CASE WHEN b.low_exp = 0 THEN CAST(b.low AS TEXT) WHEN b.low_exp > 0 THEN CASE b.low WHEN 0 THEN '0' ELSE b.low || substr('0000000000000000000000000000000000000000', 1, b.low_exp) END ELSE CASE WHEN b.low < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - b.low_exp, abs(b.low)), 1, length(printf('%0*d', 1 - b.low_exp, abs(b.low))) + b.low_exp) || '.' || substr(printf('%0*d', 1 - b.low_exp, abs(b.low)), b.low_exp) END AS low,
  CASE WHEN b.close_exp = 0 THEN CAST(b.close AS TEXT) WHEN b.close_exp > 0 THEN CASE b.close WHEN 0 THEN '0' ELSE b.close || substr('0000000000000000000000000000000000000000', 1, b.close_exp) END ELSE CASE WHEN b.close < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - b.close_exp, abs(b.close)), 1, length(printf('%0*d', 1 - b.close_exp, abs(b.close))) + b.close_exp) || '.' || substr(printf('%0*d', 1 - b.close_exp, abs(b.close)), b.close_exp) END AS close,
  b.volume AS volume,
  b.count AS trades
FROM imported_bar_rows b JOIN symbols s ON s.id = b.symbol JOIN imported_intervals i ON i.seconds = b.interval;
CREATE VIEW quotes AS SELECT
  s.symbol AS symbol,
  CASE WHEN r.event <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (r.event) / 1000000000 - ((r.event) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((r.event) % 1000000000 + 1000000000) % 1000000000) END AS time,
  r.event AS time_ns,
  r.seq AS seq,
  CASE WHEN f.price_exp = 0 THEN CAST(r.bid AS TEXT) WHEN f.price_exp > 0 THEN CASE r.bid WHEN 0 THEN '0' ELSE r.bid || substr('0000000000000000000000000000000000000000', 1, f.price_exp) END ELSE CASE WHEN r.bid < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - f.price_exp, abs(r.bid)), 1, length(printf('%0*d', 1 - f.price_exp, abs(r.bid))) + f.price_exp) || '.' || substr(printf('%0*d', 1 - f.price_exp, abs(r.bid)), f.price_exp) END AS bid,
  CASE WHEN f.size_exp = 0 THEN CAST(r.bid_size AS TEXT) WHEN f.size_exp > 0 THEN CASE r.bid_size WHEN 0 THEN '0' ELSE r.bid_size || substr('0000000000000000000000000000000000000000', 1, f.size_exp) END ELSE CASE WHEN r.bid_size < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - f.size_exp, abs(r.bid_size)), 1, length(printf('%0*d', 1 - f.size_exp, abs(r.bid_size))) + f.size_exp) || '.' || substr(printf('%0*d', 1 - f.size_exp, abs(r.bid_size)), f.size_exp) END AS bid_size,
  CASE WHEN f.ask_exp = 0 THEN CAST(r.ask AS TEXT) WHEN f.ask_exp > 0 THEN CASE r.ask WHEN 0 THEN '0' ELSE r.ask || substr('0000000000000000000000000000000000000000', 1, f.ask_exp) END ELSE CASE WHEN r.ask < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - f.ask_exp, abs(r.ask)), 1, length(printf('%0*d', 1 - f.ask_exp, abs(r.ask))) + f.ask_exp) || '.' || substr(printf('%0*d', 1 - f.ask_exp, abs(r.ask)), f.ask_exp) END AS ask,
  CASE WHEN f.ask_size_exp = 0 THEN CAST(r.ask_size AS TEXT) WHEN f.ask_size_exp > 0 THEN CASE r.ask_size WHEN 0 THEN '0' ELSE r.ask_size || substr('0000000000000000000000000000000000000000', 1, f.ask_size_exp) END ELSE CASE WHEN r.ask_size < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - f.ask_size_exp, abs(r.ask_size)), 1, length(printf('%0*d', 1 - f.ask_size_exp, abs(r.ask_size))) + f.ask_size_exp) || '.' || substr(printf('%0*d', 1 - f.ask_size_exp, abs(r.ask_size)), f.ask_size_exp) END AS ask_size,
  f.exchange AS bid_exchange,
  CASE f.ask_from WHEN '' THEN f.exchange ELSE f.ask_from END AS ask_exchange,
  f.conditions AS conditions,
  CASE f.tape WHEN 0 THEN '' ELSE char(f.tape) END AS tape,
  CASE WHEN r.event + r.delay <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (r.event + r.delay) / 1000000000 - ((r.event + r.delay) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((r.event + r.delay) % 1000000000 + 1000000000) % 1000000000) END AS received,
  r.event + r.delay AS received_ns,
  trim(CASE WHEN f.flags & 1 THEN 'backfilled ' ELSE '' END || CASE WHEN f.flags & 2 THEN 'imported ' ELSE '' END || CASE WHEN f.flags & 4 THEN 'no_event_time ' ELSE '' END || CASE WHEN f.flags & 8 THEN 'damage ' ELSE '' END || CASE WHEN f.flags & 16 THEN 'filled ' ELSE '' END || CASE WHEN f.flags & 32 THEN 'history ' ELSE '' END) AS flags,
  r.n AS n
FROM quote_rows r JOIN symbols s ON s.id = r.symbol JOIN forms f ON f.id = r.form;
CREATE VIEW trades AS SELECT
  s.symbol AS symbol,
  CASE WHEN r.event <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (r.event) / 1000000000 - ((r.event) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((r.event) % 1000000000 + 1000000000) % 1000000000) END AS time,
  r.event AS time_ns,
  r.seq AS seq,
  CASE WHEN f.price_exp = 0 THEN CAST(r.price AS TEXT) WHEN f.price_exp > 0 THEN CASE r.price WHEN 0 THEN '0' ELSE r.price || substr('0000000000000000000000000000000000000000', 1, f.price_exp) END ELSE CASE WHEN r.price < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - f.price_exp, abs(r.price)), 1, length(printf('%0*d', 1 - f.price_exp, abs(r.price))) + f.price_exp) || '.' || substr(printf('%0*d', 1 - f.price_exp, abs(r.price)), f.price_exp) END AS price,
  CASE WHEN f.size_exp = 0 THEN CAST(r.size AS TEXT) WHEN f.size_exp > 0 THEN CASE r.size WHEN 0 THEN '0' ELSE r.size || substr('0000000000000000000000000000000000000000', 1, f.size_exp) END ELSE CASE WHEN r.size < 0 THEN '-' ELSE '' END || substr(printf('%0*d', 1 - f.size_exp, abs(r.size)), 1, length(printf('%0*d', 1 - f.size_exp, abs(r.size))) + f.size_exp) || '.' || substr(printf('%0*d', 1 - f.size_exp, abs(r.size)), f.size_exp) END AS size,
  CASE f.side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' ELSE '' END AS side,
  CASE WHEN typeof(r.id) = 'blob' THEN CAST(r.id AS TEXT) ELSE r.id END AS id,
  f.exchange AS exchange,
  f.conditions AS conditions,
  CASE f.tape WHEN 0 THEN '' ELSE char(f.tape) END AS tape,
  CASE WHEN r.event + r.delay <> 0 THEN strftime('%Y-%m-%dT%H:%M:%S', (r.event + r.delay) / 1000000000 - ((r.event + r.delay) % 1000000000 < 0), 'unixepoch') || printf('.%09dZ', ((r.event + r.delay) % 1000000000 + 1000000000) % 1000000000) END AS received,
  r.event + r.delay AS received_ns,
  trim(CASE WHEN f.flags & 1 THEN 'backfilled ' ELSE '' END || CASE WHEN f.flags & 2 THEN 'imported ' ELSE '' END || CASE WHEN f.flags & 4 THEN 'no_event_time ' ELSE '' END || CASE WHEN f.flags & 8 THEN 'damage ' ELSE '' END || CASE WHEN f.flags & 16 THEN 'filled ' ELSE '' END || CASE WHEN f.flags & 32 THEN 'history ' ELSE '' END) AS flags,
  r.n AS n
FROM trade_rows r JOIN symbols s ON s.id = r.symbol JOIN forms f ON f.id = r.form;
PRAGMA application_id = 1413759819;
PRAGMA user_version = 2000;
PRAGMA page_size = 4096;
PRAGMA journal_mode = wal;
PRAGMA encoding = UTF-8;
