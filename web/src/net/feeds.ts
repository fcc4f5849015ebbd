import type { Exact, ExactObject } from '../market/exact.ts';
import type { Delays, FeedGap, FeedInfo, FeedList } from '../market/types.ts';
import * as f from './fields.ts';

/** Reads the answer of `v1/feeds`. Throws `DecodeError` when it is something else. */
export function readFeeds(value: Exact): FeedList {
  const o = f.asObject(value, 'feeds');
  return { feeds: f.asArray(o['feeds'], 'feeds').map(feed), sent: delays(o['sent']) };
}

function feed(value: Exact): FeedInfo {
  const o = f.asObject(value, 'feed');
  const stages = f.asObject(o['delays'] ?? {}, 'delays');
  return {
    name: f.text(o, 'name'),
    url: f.textOr(o, 'url', ''),
    state: f.textOr(o, 'state', 'unknown'),
    since: f.timeOrNull(o, 'since'),
    error: f.textOr(o, 'error', ''),
    rate: f.numberOrNull(o, 'rate') ?? 0,
    latency: f.numberOrNull(o, 'latency'),
    lastTick: f.timeOrNull(o, 'lastTick'),
    age: f.numberOrNull(o, 'age'),
    symbols: f.countOr(o, 'symbols', 0),
    label: f.textOr(o, 'label', ''),
    venue: f.textOr(o, 'venue', ''),
    carried: f.asArray(o['carried'], 'carried').filter((s) => typeof s === 'string'),
    connections: f.countOr(o, 'connections', 0),
    reconnects: f.countOr(o, 'reconnects', 0),
    clockOffset: f.numberOrNull(o, 'clockOffset'),
    received: delays(stages['received']),
    taped: delays(stages['taped']),
    gapsFilled: f.countOr(o, 'gapsFilled', 0),
    gapsUnfilled: f.countOr(o, 'gapsUnfilled', 0),
    backfilled: f.countOr(o, 'backfilled', 0),
    duplicates: f.countOr(o, 'duplicates', 0),
    dropped: dropped(f.asObject(o['dropped'] ?? {}, 'dropped')),
    refused: f.asArray(o['refused'], 'refused').map((r) => {
      const refused = f.asObject(r, 'refused');
      return { symbol: f.text(refused, 'symbol'), reason: f.textOr(refused, 'reason', '') };
    }),
    gaps: f.asArray(o['gaps'], 'gaps').map(gap),
  };
}

function delays(value: Exact | undefined): Delays | null {
  if (value === null || value === undefined) return null;
  const o = f.asObject(value, 'delays');
  return {
    count: f.countOr(o, 'count', 0),
    p50: f.numberOrNull(o, 'p50') ?? 0,
    p99: f.numberOrNull(o, 'p99') ?? 0,
    buckets: f.asArray(o['buckets'], 'buckets').map((b) => {
      const bucket = f.asObject(b, 'bucket');
      return { to: f.numberOrNull(bucket, 'to') ?? 0, n: f.countOr(bucket, 'n', 0) };
    }),
  };
}

function dropped(o: ExactObject): FeedInfo['dropped'] {
  return Object.keys(o).map((reason) => ({ reason, n: f.countOr(o, reason, 0) }));
}

function gap(value: Exact): FeedGap {
  const o = f.asObject(value, 'gap');
  return {
    symbol: f.textOr(o, 'symbol', '*'),
    from: f.timeOrNull(o, 'from'),
    to: f.timeOrNull(o, 'to'),
    reason: f.textOr(o, 'reason', ''),
    filled: o['filled'] === true,
    ticks: f.countOr(o, 'ticks', 0),
  };
}
