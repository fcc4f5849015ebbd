/** What `/v1/feeds` says of the fake market, and of feeds that have been through everything. */

const fresh = {
  url: '',
  state: 'live',
  since: null,
  error: '',
  rate: 0,
  lastTick: null,
  age: null,
  latency: null,
  symbols: 0,
  label: '',
  venue: '',
  carried: [],
  connections: 1,
  reconnects: 0,
  clockOffset: null,
  delays: { received: null, taped: null },
  gapsFilled: 0,
  gapsUnfilled: 0,
  backfilled: 0,
  duplicates: 0,
  dropped: {},
  refused: [],
  gaps: [],
};

/** The one feed of the fake. */
export function feedsOf(fake) {
  const carried = [...fake.symbols.keys()];
  return {
    feeds: [
      {
        ...fresh,
        name: 'sim',
        url: 'sim://',
        state: fake.trouble ? 'down' : 'live',
        since: new Date(Date.now() - 3_600_000).toISOString(),
        error: fake.trouble ?? '',
        rate: 20.1,
        age: 0.1,
        latency: 0.0004,
        symbols: carried.length,
        carried,
        label: 'SIM',
        venue: 'SIM',
        delays: { received: delays(0.0004), taped: delays(0.0009) },
      },
    ],
    sent: delays(0.0002),
  };
}

/** A live venue with a past, one that is down, and a file that was played to its end. */
export function eventfulFeeds(now = Date.now()) {
  const ago = (seconds) => new Date(now - seconds * 1000).toISOString();
  return {
    feeds: [
      {
        ...fresh,
        name: 'coinbase',
        url: 'coinbase://BTC-USD,ETH-USD,DOGE-XYZ',
        since: ago(7300),
        rate: 41.4,
        age: 0.3,
        latency: 0.043,
        symbols: 2,
        venue: 'COINBASE',
        carried: ['COINBASE:BTC-USD', 'COINBASE:ETH-USD'],
        reconnects: 2,
        clockOffset: -0.012,
        delays: { received: delays(0.043), taped: delays(0.0011) },
        gapsFilled: 2,
        gapsUnfilled: 1,
        backfilled: 214,
        duplicates: 12,
        dropped: { bad_trade: 1 },
        refused: [{ symbol: 'COINBASE:DOGE-XYZ', reason: 'DOGE-XYZ is not a valid product' }],
        gaps: [
          gap('COINBASE:BTC-USD', ago(900), ago(896), 'the line ended', true, 57),
          gap('COINBASE:ETH-USD', ago(900), ago(895), 'the line ended', true, 157),
          gap('*', ago(7400), ago(7300), 'not running', false, 0),
        ],
      },
      {
        ...fresh,
        name: 'alpaca',
        url: 'alpaca://AAPL,MSFT?feed=iex&key=env:ALPACA_KEY&secret=***',
        state: 'down',
        since: ago(65),
        error: 'refused by the venue: not authenticated',
        venue: 'ALPACA',
        connections: 0,
        reconnects: 1,
      },
      {
        ...fresh,
        name: 'replay',
        url: 'replay:///data/trades.csv.gz?symbol=SPY',
        state: 'done',
        since: ago(600),
        lastTick: ago(600),
        age: 600,
        symbols: 1,
        label: 'REPLAY',
        venue: 'REPLAY',
        carried: ['REPLAY:SPY'],
        connections: 0,
      },
    ],
    sent: delays(0.0003),
  };
}

function gap(symbol, from, to, reason, filled, ticks) {
  return { symbol, from, to, reason, filled, ticks, noted: to };
}

/** A minute of messages of which half took so many seconds. */
function delays(p50) {
  const counts = [3, 17, 120, 290, 160, 44, 9, 0, 2];
  return {
    count: counts.reduce((sum, n) => sum + n, 0),
    p50,
    p99: p50 * 6,
    buckets: counts.map((n, i) => ({ to: p50 * 2 ** (i - 3), n })),
  };
}
