package store

import (
	"fmt"

	"tapedeck/internal/market"
)

// coverageTables hold what is known of which time, and by what; new in format 1.1.
//
// A row of coverage_rows is evidence of a symbol (feed is empty) or of a feed (symbol is 0), or it says that a feed brings a symbol
// (both are there): then since is when it brought the first tick. The primary key has since and not until, because it is until that moves.
//
// A row of late_rows says between which event times trades of a symbol were late, of those that were received in one hour (counted from
// 1970), and when the last of them was received. Only trades that were received more than a minute after they happened are late.
const coverageTables = `
CREATE TABLE coverage_rows (
  symbol INTEGER NOT NULL,
  feed   TEXT    NOT NULL,
  origin INTEGER NOT NULL,
  since  INTEGER NOT NULL,
  until  INTEGER NOT NULL,
  known  INTEGER NOT NULL,
  PRIMARY KEY (symbol, feed, origin, since)
) WITHOUT ROWID;

CREATE TABLE late_rows (
  symbol   INTEGER NOT NULL,
  hour     INTEGER NOT NULL,
  first    INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  received INTEGER NOT NULL,
  PRIMARY KEY (symbol, hour)
) WITHOUT ROWID;
`

// coverageFill fills the tables from what format 1.0 kept: which trades were late, and where trades are. What was connected when
// nothing traded is not known of that time.
func coverageFill() []string {
	const seen = "received - event"
	live := fmt.Sprintf("(flags & %d) = 0", market.FlagImported|market.FlagHistory)
	origin := fmt.Sprintf("CASE WHEN flags & %d THEN %d WHEN flags & %d THEN %d ELSE %d END",
		market.FlagImported|market.FlagHistory, market.OriginImported, market.FlagBackfilled, market.OriginBackfilled, market.OriginLive)
	const trades = "(SELECT r.symbol, r.event, r.event + r.delay AS received, f.flags FROM trade_rows r JOIN forms f ON f.id = r.form)"
	return []string{
		fmt.Sprintf("INSERT INTO late_rows SELECT symbol, received / %[1]d, min(event), max(event), max(received) FROM %[2]s"+
			" WHERE %[3]s > %[4]d AND %[5]s GROUP BY 1, 2", int64(market.Hour), trades, seen, int64(lateAfter), live),
		// Runs of trades that are no further apart than is bridged: each that begins one is numbered by how many began before.
		fmt.Sprintf("INSERT INTO coverage_rows SELECT symbol, '', origin, min(event), max(event) + %[1]d, min(received) FROM"+
			" (SELECT *, sum(begins) OVER (PARTITION BY symbol, origin ORDER BY event, received ROWS UNBOUNDED PRECEDING) AS run FROM"+
			" (SELECT *, event - lag(event, 1, event - %[2]d) OVER (PARTITION BY symbol, origin ORDER BY event, received) >= %[2]d AS begins FROM"+
			" (SELECT symbol, event / %[1]d * %[1]d AS event, received, %[3]s AS origin FROM %[4]s)))"+
			" GROUP BY symbol, origin, run", int64(market.Second), int64(market.QuietAfter+market.Second)+1, origin, trades),
		fmt.Sprintf("INSERT INTO coverage_rows SELECT t.symbol, s.feed, %d, min(t.received), min(t.received), min(t.received) FROM %s t"+
			" JOIN symbols s ON s.id = t.symbol WHERE %s GROUP BY t.symbol", market.OriginConnected, trades, live),
	}
}
