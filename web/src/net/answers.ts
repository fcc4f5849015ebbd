import type { Decimal } from '../market/decimal.ts';
import type { Exact, ExactObject } from '../market/exact.ts';
import type { Instant } from '../market/instant.ts';
import type { Bar, SymbolInfo, Trade } from '../market/types.ts';
import * as f from './fields.ts';
import { bar, flowState, trade } from './wire.ts';

/** A page of bars, newest first, and whether there are older ones. */
export interface BarPage {
  readonly bars: readonly Bar[];
  readonly more: boolean;
}

/** A line of the tutorial's `/history`. */
export interface PricePoint {
  readonly id: number;
  readonly time: Instant;
  readonly symbol: string;
  readonly price: Decimal;
}

/** Reads the answer of `v1/symbols`. This and its like throw `DecodeError` when it is something else. */
export function readSymbols(value: Exact): SymbolInfo[] {
  return f.asArray(f.asObject(value, 'symbols')['symbols'], 'symbols').map(symbol);
}

/** Reads the answer of `v2/stocks/{symbol}/bars`. */
export function readBars(value: Exact): BarPage {
  const o = f.asObject(value, 'bars');
  const bars = f.asArray(o['bars'], 'bars').map((b) => bar(f.asObject(b, 'bar')));
  return { bars, more: f.textOr(o, 'next_page_token', '') !== '' };
}

/** Reads the answer of `v2/stocks/{symbol}/trades`. */
export function readTrades(value: Exact, name: string): Trade[] {
  const rows = f.asArray(f.asObject(value, 'trades')['trades'], 'trades');
  return rows.map((row) => trade(f.asObject(row, 'trade'), name));
}

/** Reads the answer of `history`, and, a line of it, a message of `ws/prices`. */
export function readHistory(value: Exact, name: string): PricePoint[] {
  return f.asArray(value, 'history').map((row) => readPoint(row, name));
}

export function readPoint(value: Exact, name = ''): PricePoint {
  const o = f.asObject(value, 'price');
  return {
    id: f.countOr(o, 'id', 0),
    time: f.time(o, 'timestamp'),
    symbol: f.textOr(o, 'symbol', name),
    price: f.price(o, 'price'),
  };
}

function symbol(value: Exact): SymbolInfo {
  const o = f.asObject(value, 'symbol');
  const full = f.text(o, 'symbol');
  const [venue = '', name = full] = full.split(/:(.*)/s);
  return {
    symbol: full,
    venue: f.textOr(o, 'venue', venue),
    name: f.textOr(o, 'name', name),
    feed: f.textOr(o, 'feed', ''),
    state: flowState(f.textOr(o, 'state', 'unknown')),
    calendar: f.textOr(o, 'calendar', '24x7'),
    decimals: f.countOr(o, 'decimals', 2),
    last: part(o['last'], (l) => ({ price: f.price(l, 'p'), time: f.time(l, 't') })),
    quote: part(o['quote'], (q) => ({ bid: f.price(q, 'bp'), ask: f.price(q, 'ap') })),
    dayOpen: part(o['day'], (d) => f.price(d, 'o')),
    previousClose: f.priceOrNull(o, 'prevClose'),
  };
}

function part<T>(value: Exact | undefined, read: (o: ExactObject) => T): T | null {
  return value === null || value === undefined ? null : read(f.asObject(value, 'part'));
}
