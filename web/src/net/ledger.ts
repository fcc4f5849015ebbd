import type { Decimal } from '../market/decimal.ts';
import { decimal } from '../market/decimal.ts';
import type { Exact, ExactObject } from '../market/exact.ts';
import { toMs } from '../market/instant.ts';
import type { Bar, Cover, Covered, LeftOut, Receipt, Revision, Trade } from '../market/types.ts';
import * as f from './fields.ts';
import { bar, trade } from './wire.ts';

/** Reads the answer of `v1/coverage`: stretches in rising order. Throws `DecodeError` when it is something else. */
export function readCoverage(value: Exact): Covered[] {
  return spans(f.asObject(value, 'coverage')['spans']);
}

/**
 * Reads the answer of `v1/receipt` for a symbol. A receipt is for people to look at, so what it lacks is shown as
 * missing instead of having all of it refused.
 */
export function readReceipt(value: Exact, name: string): Receipt {
  const o = f.asObject(value, 'receipt');
  const volume = object(o['volume']) ?? {};
  const left = object(o['leftOut']) ?? {};
  const late = object(o['late']) ?? {};
  const leftOut = list(left['list']).flatMap((each) => out(each, name));
  const revisions = list(late['revisions']).map(revision);
  const matches = o['matches'];
  const part = (key: string): Trade | null => maybe(o[key], (t) => trade(t, name));
  return {
    bar: maybe(o['bar'], bar),
    final: o['final'] !== false,
    imported: o['imported'] === true,
    open: part('open'),
    high: part('high'),
    low: part('low'),
    close: part('close'),
    count: f.numberOrNull(volume, 'trades'),
    first: f.numberOrNull(volume, 'first'),
    last: f.numberOrNull(volume, 'last'),
    leftOut,
    leftOutCount: Math.max(leftOut.length, f.numberOrNull(left, 'count') ?? 0),
    revisions,
    lateCount: Math.max(revisions.length, f.numberOrNull(late, 'count') ?? 0),
    matches: typeof matches === 'boolean' ? matches : null,
    coverage: spans(list(o['coverage'])),
  };
}

function spans(value: Exact | undefined): Covered[] {
  return f.asArray(value, 'spans').map((each) => {
    const o = f.asObject(each, 'span');
    return {
      from: toMs(f.time(o, 'from')) / 1000,
      to: toMs(f.time(o, 'to')) / 1000,
      state: cover(f.text(o, 'state')),
    };
  });
}

/** A word that this page does not know claims nothing. */
function cover(word: string): Cover {
  switch (word) {
    case 'live':
    case 'backfilled':
    case 'imported':
    case 'quiet':
    case 'closed':
      return word;
    default:
      return 'blind';
  }
}

function out(value: Exact, name: string): LeftOut[] {
  const o = object(value);
  const found = o && maybe(o['trade'], (t) => trade(t, name));
  if (found === null) return [];
  const of = list(o?.['of']).filter((word) => typeof word === 'string');
  return [{ trade: found, of, why: f.textOr(o ?? {}, 'why', '') }];
}

/** The figures of a bar that a late trade may change, as the server spells them. */
const figures = { o: 'open', h: 'high', l: 'low', c: 'close', v: 'volume', n: 'trades' } as const;

function revision(value: Exact): Revision {
  const o = object(value) ?? {};
  const number = (text: Exact | undefined): Decimal | null =>
    typeof text === 'string' ? decimal(text) : null;
  return {
    seq: f.countOr(o, 'seq', 0),
    time: f.timeOrNull(o, 't'),
    received: f.timeOrNull(o, 'r'),
    price: f.priceOrNull(o, 'p'),
    size: f.priceOrNull(o, 's'),
    changes: Object.entries(figures).flatMap(([key, what]) => {
      const pair = o[key];
      if (!Array.isArray(pair)) return [];
      return [{ what, before: number(pair[0]), after: number(pair[1]) }];
    }),
  };
}

function list(value: Exact | undefined): Exact[] {
  return Array.isArray(value) ? value : [];
}

function object(value: Exact | undefined): ExactObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
}

function maybe<T extends Bar | Trade>(
  value: Exact | undefined,
  read: (o: ExactObject) => T,
): T | null {
  const o = object(value);
  if (o === null) return null;
  try {
    return read(o);
  } catch (error) {
    if (error instanceof f.DecodeError) return null;
    throw error;
  }
}
