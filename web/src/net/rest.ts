import type { Decimal } from '../market/decimal.ts';
import type { Exact, ExactObject } from '../market/exact.ts';
import { readExact } from '../market/exact.ts';
import type { Instant } from '../market/instant.ts';
import type { Interval } from '../market/interval.ts';
import type { Bar, FeedInfo, SymbolInfo, Trade } from '../market/types.ts';
import * as f from './fields.ts';
import type { Server } from './urls.ts';
import { bar, flowState, trade } from './wire.ts';

/** The server answered, and the answer is no. */
export class RefusedError extends Error {
  override name = 'RefusedError';
  /** The HTTP status. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** An answer and the position on the tape as of which it was computed; null from servers that do not say. */
export interface AsOf<T> {
  readonly value: T;
  readonly cursor: string | null;
}

/** A page of bars, newest first in time, and what to ask for the next older page with. */
export interface BarPage {
  readonly bars: readonly Bar[];
  readonly next: string | null;
}

/** A line of the tutorial's `/history`. */
export interface PricePoint {
  readonly id: number;
  readonly time: Instant;
  readonly symbol: string;
  readonly price: Decimal;
}

/** The REST API, read only. Each call rejects with the signal's reason when aborted. */
export class Rest {
  private readonly server: Server;

  constructor(server: Server) {
    this.server = server;
  }

  /** All symbols, in the server's order. */
  async symbols(signal?: AbortSignal): Promise<AsOf<SymbolInfo[]>> {
    const { value, cursor } = await this.get(this.server.rest('v1/symbols'), signal);
    return {
      value: f.asArray(f.asObject(value, 'symbols')['symbols'], 'symbols').map(symbol),
      cursor,
    };
  }

  /** All feeds. */
  async feeds(signal?: AbortSignal): Promise<FeedInfo[]> {
    const { value } = await this.get(this.server.rest('v1/feeds'), signal);
    return f.asArray(f.asObject(value, 'feeds')['feeds'], 'feeds').map(feed);
  }

  /**
   * The newest bars of a symbol, the forming one included, or with `page` the
   * next older ones.
   */
  async bars(
    name: string,
    interval: Interval,
    limit: number,
    page: string | null,
    signal?: AbortSignal,
  ): Promise<AsOf<BarPage>> {
    const path = `v2/stocks/${encodeURIComponent(name)}/bars`;
    const url = this.server.rest(path, {
      timeframe: interval.timeframe,
      sort: 'desc',
      limit,
      // Without a start the API that this one follows begins at today's midnight.
      start: '1970-01-01T00:00:00Z',
      ...(page === null ? {} : { page_token: page }),
    });
    const { value, cursor } = await this.get(url, signal);
    const o = f.asObject(value, 'bars');
    const bars = f.asArray(o['bars'], 'bars').map((b) => bar(f.asObject(b, 'bar')));
    const next = f.textOr(o, 'next_page_token', '');
    return { value: { bars, next: next === '' ? null : next }, cursor };
  }

  /** The newest trades of a symbol, newest first. */
  async trades(name: string, limit: number, signal?: AbortSignal): Promise<Trade[]> {
    const url = this.server.rest(`v2/stocks/${encodeURIComponent(name)}/trades`, {
      sort: 'desc',
      limit,
      start: '1970-01-01T00:00:00Z',
    });
    const { value } = await this.get(url, signal);
    const rows = f.asArray(f.asObject(value, 'trades')['trades'], 'trades');
    return rows.map((row) => trade(f.asObject(row, 'trade'), name));
  }

  /** The newest trades of a symbol in the tutorial's form, newest first. */
  async history(name: string, limit: number, signal?: AbortSignal): Promise<PricePoint[]> {
    const { value } = await this.get(this.server.rest('history', { limit, symbol: name }), signal);
    return f.asArray(value, 'history').map((row) => {
      const o = f.asObject(row, 'history');
      return {
        id: f.countOr(o, 'id', 0),
        time: f.time(o, 'timestamp'),
        symbol: f.textOr(o, 'symbol', name),
        price: f.price(o, 'price'),
      };
    });
  }

  private async get(url: string, signal?: AbortSignal): Promise<AsOf<Exact>> {
    const response = await fetch(url, {
      headers: { Accept: 'application/json' },
      cache: 'no-store',
      ...(signal === undefined ? {} : { signal }),
    });
    const body = await response.text();
    if (!response.ok) throw new RefusedError(response.status, complaint(response, body));
    return { value: readExact(body), cursor: response.headers.get('Tapedeck-Cursor') };
  }
}

/** What the server said was wrong (RFC 9457), or the bare status. */
function complaint(response: Response, body: string): string {
  try {
    const problem = f.asObject(readExact(body), 'problem');
    const said = f.textOr(problem, 'detail', '') || f.textOr(problem, 'title', '');
    if (said !== '') return said;
  } catch {
    // Not a problem document; a proxy's page for instance.
  }
  return `the server answered ${String(response.status)} ${response.statusText}`.trim();
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

function feed(value: Exact): FeedInfo {
  const o = f.asObject(value, 'feed');
  return {
    name: f.text(o, 'name'),
    url: f.textOr(o, 'url', ''),
    state: f.textOr(o, 'state', 'unknown'),
    error: f.textOr(o, 'error', ''),
    rate: f.numberOrNull(o, 'rate') ?? 0,
    latency: f.numberOrNull(o, 'latency'),
    lastTick: f.timeOrNull(o, 'lastTick'),
    symbols: f.countOr(o, 'symbols', 0),
    label: f.textOr(o, 'label', ''),
  };
}

function part<T>(value: Exact | undefined, read: (o: ExactObject) => T): T | null {
  return value === null || value === undefined ? null : read(f.asObject(value, 'part'));
}
