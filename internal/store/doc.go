// Package store is history: the ticks and bars of the tape in one SQLite file, the recorder that fills it, and the queries that
// read it. It is the only package that speaks SQL.
//
// The file follows from the tape. The recorder writes rows and the position that they came from in one transaction, so that
// after any crash it goes on exactly there: no record is applied twice and none is left out. If the file is lost, the tape
// fills it again as far back as the tape reaches.
//
// # The file
//
// What people read are the views trades, quotes, bars and gaps, and the table symbols. Numbers are exact decimals as text, with
// the digits that the venue sent; times are RFC 3339 in UTC with nine digits (which sort as text), and integers in
// nanoseconds since 1970 in the columns that end in _ns.
//
//	trades   symbol time time_ns seq price size side id exchange conditions tape received received_ns flags n
//	quotes   symbol time time_ns seq bid bid_size ask ask_size bid_exchange ask_exchange conditions tape received received_ns flags n
//	bars     symbol interval time time_ns end_ns open high low close volume turnover trades rev final gappy
//	imported_bars  symbol interval time time_ns end_ns open high low close volume trades
//	gaps     cause symbol feed since since_ns until until_ns reason flags lost position through
//	symbols  id symbol feed trades trade_seq … quotes quote_seq …
//
// The column n is the number of the entry on the tape, over all symbols; side is that of the taker, buy, sell or empty; flags are
// words (backfilled, imported, no_event_time, damage, filled, history). The column interval is one of those of the table intervals. A bar's VWAP is turnover /
// volume. A gap has a symbol, or is of a whole feed, or of the tape itself (neither); its cause is feed, tape (damage to the
// tape), trim (the tape was not whole when it was read) or store (entries that could not be stored).
//
// Below the views are the tables that hold it compactly:
//
//	trade_rows  symbol event seq | n delay price size id form                 key (symbol, event, seq)
//	quote_rows  symbol event seq | n delay bid bid_size ask ask_size form     key (symbol, event, seq)
//	bar_rows    symbol interval start | end open high low close …_exp volume turnover count open_at open_seq close_at close_seq
//	            first_seq last_seq rev final gappy priced                     key (symbol, interval, start)
//	bar_pages   id | symbol interval start last count data                    unique (symbol, interval, start)
//	imported_bar_rows  symbol interval start | end open high low close …_exp volume count    key (symbol, interval, start)
//	imported_intervals seconds | interval  the names of the intervals of imported_bar_rows
//	intervals   seconds | interval  the names of the intervals of bar_rows
//	gap_rows    id | cause symbol feed since until reason flags lost position through
//	forms       id | price_exp size_exp ask_exp ask_size_exp side flags tape exchange ask_from conditions
//	feeds       feed | clock        latest event time that the bars of the feed have seen
//	tape        epoch position entries lost high_water                        one row
//	archived    id | kind symbol day state rows bytes first_event first_seq last_event last_seq max_seq through created sum file
//	archive_removed  symbol kind | rows until   ticks that retention removed
//	epochs      since | epoch       from which position on the tape had which epoch
//	coverage_rows  symbol feed origin since | until known                 what is known of which time, and by what
//	late_rows      symbol hour | first last received                      where trades came late, by the hour of their receipt
//	meta        key | value         format, created, open, suspect
//
// Ticks are clustered by symbol and event time. A price is a coefficient in the row and an exponent in its form: what the ticks
// of a symbol have in common most of the time (digits, side, codes, flags) is a row of forms, and a tick holds its
// number. Delay is received less event, in nanoseconds. The id of a trade is an integer, or text where the venue has names, or a
// blob "number name". The columns trade_first, trade_last, quote_first, quote_last of symbols are the smallest and largest event
// time; newest_trade and newest_quote the highest seq and its time. The interval of a bar is in seconds; open_at, close_at
// with their seq say which trades its open and close are from; a bar that is not priced has only volume yet.
//
// Closed bars of 1 s, most of a store's where trades are rare, are not rows for long: when there are enough of a symbol, the oldest move to a row of
// bar_pages, some 64 in each; appendPage says in which form. The newest stay rows, those that are open do, and whatever a file of format 1 has until it is written to.
// A bar is in one of the two. The view bars shows rows.
//
// PRAGMA application_id is 0x5444434b ("TDCK"), PRAGMA user_version is 1000 × major + minor of the format. A program reads files
// of any minor version of its major version, brings older ones up to date in one transaction, and refuses another major
// version without writing to it.
//
// # The archive
//
// With an Archiver, ticks of days that are old enough are in Parquet files and not in the tables: a file for each kind, symbol and
// UTC day, or more. The table archived lists them, and the view archive shows it. Queries merge both and do not tell. docs/adr/0014 says in which
// order things happen, so that a crash loses nothing and a query that is under way misses nothing.
//
// # Connections
//
// One connection writes: the recorder's. The archiver has another for its own short transactions. Some read-only ones answer queries, and other programs may read along. WAL lets them all
// go on while the recorder commits. Every commit is synced (synchronous=FULL).
package store
