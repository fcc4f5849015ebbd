import type { Exact } from '../market/exact.ts';
import { readExact } from '../market/exact.ts';
import { rfc3339 } from '../market/instant.ts';
import type { Interval } from '../market/interval.ts';
import type { FeedInfo, SymbolInfo, Trade } from '../market/types.ts';
import type { BarPage, PricePoint } from './answers.ts';
import { readBars, readFeeds, readHistory, readSymbols, readTrades } from './answers.ts';
import * as f from './fields.ts';
import type { Server } from './urls.ts';

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

/** The REST API, read only. Each call rejects with the signal's reason when aborted. */
export class Rest {
  private readonly server: Server;

  constructor(server: Server) {
    this.server = server;
  }

  /** All symbols, in the server's order. */
  async symbols(signal?: AbortSignal): Promise<AsOf<SymbolInfo[]>> {
    const { value, cursor } = await this.get(this.server.rest('v1/symbols'), signal);
    return { value: readSymbols(value), cursor };
  }

  /** All feeds. */
  async feeds(signal?: AbortSignal): Promise<FeedInfo[]> {
    const { value } = await this.get(this.server.rest('v1/feeds'), signal);
    return readFeeds(value);
  }

  /**
   * The newest bars of a symbol, the forming one included; with `before` those
   * that opened before that time, in UTC seconds.
   */
  async bars(
    name: string,
    interval: Interval,
    limit: number,
    before: number | null,
    signal?: AbortSignal,
  ): Promise<AsOf<BarPage>> {
    const path = `v2/stocks/${encodeURIComponent(name)}/bars`;
    const url = this.server.rest(path, {
      timeframe: interval.timeframe,
      sort: 'desc',
      limit,
      // Without a start the API that this one follows begins at today's midnight.
      start: '1970-01-01T00:00:00Z',
      ...(before === null ? {} : { end: rfc3339(before - 1) }),
    });
    const { value, cursor } = await this.get(url, signal);
    return { value: readBars(value), cursor };
  }

  /** The newest trades of a symbol, newest first. */
  async trades(name: string, limit: number, signal?: AbortSignal): Promise<Trade[]> {
    const url = this.server.rest(`v2/stocks/${encodeURIComponent(name)}/trades`, {
      sort: 'desc',
      limit,
      start: '1970-01-01T00:00:00Z',
    });
    const { value } = await this.get(url, signal);
    return readTrades(value, name);
  }

  /** The newest trades of a symbol in the tutorial's form, newest first. */
  async history(name: string, limit: number, signal?: AbortSignal): Promise<PricePoint[]> {
    const { value } = await this.get(this.server.rest('history', { limit, symbol: name }), signal);
    return readHistory(value, name);
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
