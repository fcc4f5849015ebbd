import type { AlertRule, FiredPage } from '../market/alert.ts';
import type { Exact } from '../market/exact.ts';
import { readExact } from '../market/exact.ts';
import type { Instant } from '../market/instant.ts';
import { rfc3339, writeInstant } from '../market/instant.ts';
import type { Stretch } from '../market/clock.ts';
import type { Interval } from '../market/interval.ts';
import { day } from '../market/interval.ts';
import type { Covered, FeedList, Receipt, SymbolInfo, Trade } from '../market/types.ts';
import { readFired, readRule, readRules, writeRule } from './alerts.ts';
import type { BarPage, PricePoint } from './answers.ts';
import { readBars, readHistory, readSymbols, readTrades } from './answers.ts';
import { readFeeds } from './feeds.ts';
import { readCoverage, readReceipt } from './ledger.ts';
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

type Query = Readonly<Record<string, string | number>>;

/** The start of everything. */
const ever = '1970-01-01T00:00:00Z';

/** The clock of an answer: the present, or the moment that it is to be given as of. */
function asOf(at: Instant | null): Query {
  return at === null ? {} : { at: writeInstant(at) };
}

/** The REST API, of which only alerts are written. Each call rejects with the signal's reason when aborted. */
export class Rest {
  private readonly server: Server;

  constructor(server: Server) {
    this.server = server;
  }

  /** All symbols, in the server's order; with `at` as they stood then. */
  async symbols(at: Instant | null, signal?: AbortSignal): Promise<AsOf<SymbolInfo[]>> {
    const { value, cursor } = await this.get(this.server.rest('v1/symbols', asOf(at)), signal);
    return { value: readSymbols(value), cursor };
  }

  /** All feeds, and how they do. */
  async feeds(signal?: AbortSignal): Promise<FeedList> {
    const { value } = await this.get(this.server.rest('v1/feeds'), signal);
    return readFeeds(value);
  }

  /**
   * The newest bars of a symbol, the forming one included; with `before` those
   * that opened before that time, in UTC seconds; with `at` as they stood then,
   * the bar that was forming included.
   */
  async bars(
    name: string,
    interval: Interval,
    limit: number,
    before: number | null,
    at: Instant | null,
    signal?: AbortSignal,
  ): Promise<AsOf<BarPage>> {
    const url = this.barsUrl(name, interval, {
      sort: 'desc',
      limit,
      // Without a start the API that this one follows begins at today's midnight.
      start: ever,
      ...(before === null ? {} : { end: rfc3339(before - 1) }),
      ...asOf(at),
    });
    const { value, cursor } = await this.get(url, signal);
    return { value: readBars(value), cursor };
  }

  /** The oldest bars that opened after a time in UTC seconds, oldest first. */
  async barsAfter(
    name: string,
    interval: Interval,
    limit: number,
    after: number,
    at: Instant | null,
    signal?: AbortSignal,
  ): Promise<AsOf<BarPage>> {
    const start = rfc3339(after + 1);
    const url = this.barsUrl(name, interval, { sort: 'asc', limit, start, ...asOf(at) });
    const { value, cursor } = await this.get(url, signal);
    return { value: readBars(value), cursor };
  }

  /** The newest trades of a symbol, newest first; with `at` those known then. */
  async trades(
    name: string,
    limit: number,
    at: Instant | null,
    signal?: AbortSignal,
  ): Promise<Trade[]> {
    const query = { sort: 'desc', limit, start: ever, ...asOf(at) };
    const { value } = await this.get(this.ticksUrl(name, query), signal);
    return readTrades(value, name);
  }

  /** The first whole second at which there is history of a symbol, in UTC seconds; null when there is none. */
  async begin(name: string, signal?: AbortSignal): Promise<number | null> {
    const query = { sort: 'asc', limit: 1, start: ever };
    const [ticks, days] = await Promise.all([
      this.get(this.ticksUrl(name, query), signal),
      this.get(this.barsUrl(name, day, query), signal),
    ]);
    const first = readTrades(ticks.value, name)[0];
    const trade = first === undefined ? null : first.time.s + 1;
    const bar = readBars(days.value).bars[0]?.t ?? null;
    if (trade === null || bar === null) return trade ?? bar;
    // The first day's bar opens before its first trade; bars that came without trades may be older.
    return trade - bar < day.seconds ? trade : bar;
  }

  /** What is known of a symbol from one time to another, in UTC seconds. */
  async coverage(name: string, { from, to }: Stretch, signal?: AbortSignal): Promise<Covered[]> {
    const query = { symbol: name, from: rfc3339(from), to: rfc3339(to) };
    const { value } = await this.get(this.server.rest('v1/coverage', query), signal);
    return readCoverage(value);
  }

  /** What made the bar that opened at `t`, in UTC seconds. */
  async receipt(
    name: string,
    interval: Interval,
    t: number,
    at: Instant | null,
    signal?: AbortSignal,
  ): Promise<Receipt> {
    const query = { symbol: name, timeframe: interval.timeframe, t: rfc3339(t), ...asOf(at) };
    const { value } = await this.get(this.server.rest('v1/receipt', query), signal);
    return readReceipt(value, name);
  }

  /** The address of a file with bars (of an interval) or trades (without one) of a stretch of time. */
  file(
    name: string,
    interval: Interval | null,
    format: 'csv' | 'parquet',
    { from, to }: Stretch,
    at: Instant | null,
  ): string {
    const query = { start: rfc3339(from), end: rfc3339(to), ...asOf(at), format };
    return interval === null ? this.ticksUrl(name, query) : this.barsUrl(name, interval, query);
  }

  /** The newest trades of a symbol in the tutorial's form, newest first. */
  async history(name: string, limit: number, signal?: AbortSignal): Promise<PricePoint[]> {
    const { value } = await this.get(this.server.rest('history', { limit, symbol: name }), signal);
    return readHistory(value, name);
  }

  /** The rules of alerts, by id. */
  async rules(signal?: AbortSignal): Promise<AlertRule[]> {
    const { value } = await this.get(this.server.rest('v1/alerts'), signal);
    return readRules(value);
  }

  /** Puts a rule in the place of the one with its id, or adds one that has none. Returns it as it is kept. */
  async putRule(rule: AlertRule): Promise<AlertRule> {
    const body = writeRule(rule);
    const value = await (rule.id === ''
      ? this.send('POST', this.server.rest('v1/alerts'), body)
      : this.send('PUT', this.ruleUrl(rule.id), body));
    return readRule(readExact(value));
  }

  async removeRule(id: string): Promise<void> {
    await this.send('DELETE', this.ruleUrl(id));
  }

  /** What was fired, newest first; with `before` only alerts of smaller numbers. */
  async fired(before: number | null, limit: number, signal?: AbortSignal): Promise<FiredPage> {
    const query = { limit, ...(before === null ? {} : { before }) };
    const { value } = await this.get(this.server.rest('v1/alerts/history', query), signal);
    return readFired(value);
  }

  /** Notes that somebody has seen an alert. */
  async acknowledge(n: number): Promise<void> {
    await this.send('POST', this.server.rest(`v1/alerts/history/${String(n)}/acknowledge`));
  }

  private ruleUrl(id: string): string {
    return this.server.rest(`v1/alerts/${encodeURIComponent(id)}`);
  }

  private barsUrl(name: string, interval: Interval, query: Query): string {
    const path = `v2/stocks/${encodeURIComponent(name)}/bars`;
    return this.server.rest(path, { timeframe: interval.timeframe, ...query });
  }

  private ticksUrl(name: string, query: Query): string {
    return this.server.rest(`v2/stocks/${encodeURIComponent(name)}/trades`, query);
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

  private async send(method: string, url: string, body?: string): Promise<string> {
    const response = await fetch(url, {
      method,
      headers: {
        Accept: 'application/json',
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    if (!response.ok) throw new RefusedError(response.status, complaint(response, text));
    return text;
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
