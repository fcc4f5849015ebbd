/** What the fake server knows of its own history: coverage and receipts. */

/** A minute in which it was not there, a quiet one, and the rest live. */
export function coverage(fake, query) {
  const from = Date.parse(query.get('from'));
  const to = Math.min(Date.now(), Date.parse(query.get('to')));
  const edges = [
    [from, 'live'],
    ...(fake.covered ?? []).map(([t, state]) => [Date.parse(t), state]),
    [to, ''],
  ];
  const spans = edges.slice(0, -1).flatMap(([begin, state], i) => {
    const [a, b] = [Math.max(from, begin), Math.min(to, edges[i + 1][0])];
    if (b <= a) return [];
    return [{ from: new Date(a).toISOString(), to: new Date(b).toISOString(), state }];
  });
  return { symbol: query.get('symbol'), spans };
}

export function receipt(fake, query, lengths) {
  const length = lengths[query.get('timeframe')] * 1000;
  const t = Date.parse(query.get('t'));
  const at = query.get('at') === null ? Infinity : Date.parse(query.get('at'));
  const trades = fake.known(query.get('symbol'), at).filter((e) => {
    const time = Date.parse(e.t);
    return time >= t && time < t + length;
  });
  const by = (order) => [...trades].sort((a, b) => order * (Number(a.p) - Number(b.p)))[0];
  const [open, close, high, low] = [trades[0], trades.at(-1), by(-1), by(1)];
  return {
    bar: {
      t: new Date(t).toISOString(),
      o: Number(open.p),
      h: Number(high.p),
      l: Number(low.p),
      c: Number(close.p),
      v: trades.reduce((sum, e) => sum + e.s, 0),
      n: trades.length,
    },
    open,
    high,
    low,
    close,
    final: true,
    imported: false,
    volume: { trades: trades.length, first: open.seq, last: close.seq },
    leftOut: {
      count: 1,
      reasons: { 'odd lot': 1 },
      list: [{ trade: { ...open, s: 3 }, of: ['open', 'close'], why: 'odd lot' }],
    },
    late: {
      count: 1,
      revisions: [
        {
          seq: close.seq,
          t: close.t,
          r: new Date(t + length + 1500).toISOString(),
          s: close.s,
          v: [1, 1 + close.s],
        },
      ],
    },
    matches: true,
    coverage: [
      {
        from: new Date(t).toISOString(),
        to: new Date(t + length).toISOString(),
        state: 'live',
      },
    ],
  };
}
