import type { NumberStyle } from '../market/format.ts';
import type { Instant } from '../market/instant.ts';
import { toMs } from '../market/instant.ts';
import { automatic } from '../market/interval.ts';
import { toNumber } from '../market/decimal.ts';
import type { FeedInfo } from '../market/types.ts';
import type { Line } from '../net/link.ts';
import { Link } from '../net/link.ts';
import type { Rest } from '../net/rest.ts';
import type { Resume } from '../net/resume.ts';
import { idle } from '../net/resume.ts';
import type { Message } from '../net/wire.ts';
import type { Frame } from './frame.ts';
import { Row } from './row.svelte.ts';

export interface WatchOptions {
  readonly rest: Rest;
  readonly dial: () => Line;
  readonly frame: Frame;
  readonly style: NumberStyle;
  readonly now?: () => number;
}

/** How often symbols (day base, new ones) and feeds are asked for, in milliseconds. */
const symbolsEvery = 60_000;
const feedsEvery = 5_000;

/** Sparklines that are fetched at once; the rest wait, so that the chart is not held up. */
const sparksAtOnce = 3;

/**
 * The watch list: all symbols, kept current by a stream of its own in mode
 * `latest`, which gives at most one trade and quote a symbol per interval however
 * busy the market is. The chart has another stream in mode `every`; the two cannot
 * share one because mode and cursor belong to the connection.
 */
export class Watch {
  rows = $state.raw<readonly Row[]>([]);
  feeds = $state.raw<readonly FeedInfo[]>([]);
  phase = $state<'loading' | 'ready' | 'failed'>('loading');
  problem = $state('');
  connection = $state.raw<Resume>(idle);
  /** How far the server's clock is behind this one's, in ms, at most; null until heard. */
  clockAhead: number | null = null;

  private readonly options: WatchOptions;
  private readonly bySymbol = new Map<string, Row>();
  private readonly changed = new Set<Row>();
  private readonly listeners = new Set<() => void>();
  private readonly timers: ReturnType<typeof setInterval>[] = [];
  private shownFrom = 0;
  private shownTo = 60;
  private link: Link | null = null;
  private loading: Promise<void> | null = null;
  private sparksRunning = 0;

  constructor(options: WatchOptions) {
    this.options = options;
  }

  /** Loads the list and keeps it. */
  start(): void {
    void this.load();
    void this.loadFeeds();
    this.join('50ms');
    this.timers.push(setInterval(() => void this.load(), symbolsEvery));
    this.timers.push(setInterval(() => void this.loadFeeds(), feedsEvery));
    this.timers.push(setInterval(this.second, 1000));
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.link?.stop();
  }

  /** Joins the stream anew at another pace: slow while nobody looks, to spare both ends. */
  join(every: string): void {
    this.link?.stop();
    this.link = new Link({
      dial: this.options.dial,
      want: { trades: ['*'], quotes: ['*'], mode: 'latest', every },
      owner: {
        onMessages: this.take,
        onState: (state) => {
          const back = state.phase === 'live' && this.connection.phase !== 'live';
          this.connection = state;
          // What went by while away is in the list, not in a `latest` stream.
          if (back && this.rows.length > 0) void this.load();
        },
        onReload: () => {
          this.link?.start(null);
        },
      },
    });
    this.link.start(null);
  }

  hurry(): void {
    this.link?.hurry();
  }

  find(symbol: string): Row | null {
    return this.bySymbol.get(symbol) ?? this.rows.find((r) => r.name === symbol) ?? null;
  }

  /** Says which rows are on screen; only those are drawn. */
  show(from: number, to: number): void {
    this.shownFrom = from;
    this.shownTo = to;
    this.options.frame.mark(this.draw);
    this.fetchSparks();
  }

  /** Calls `drawn` after each drawing of rows. Returns how to end that. */
  onDraw(drawn: () => void): () => void {
    this.listeners.add(drawn);
    return () => this.listeners.delete(drawn);
  }

  /** Loads the symbols; calls while it runs share its result. */
  load(): Promise<void> {
    this.loading ??= this.loadSymbols().finally(() => {
      this.loading = null;
    });
    return this.loading;
  }

  private async loadSymbols(): Promise<void> {
    try {
      const { value } = await this.options.rest.symbols();
      let grown = false;
      for (const info of value) {
        const row = this.bySymbol.get(info.symbol);
        if (row) row.learn(info);
        else {
          this.bySymbol.set(info.symbol, new Row(info));
          grown = true;
        }
      }
      if (grown) this.rows = value.flatMap((info) => this.bySymbol.get(info.symbol) ?? []);
      for (const row of this.rows) this.changed.add(row);
      this.phase = 'ready';
      this.problem = '';
      this.label();
      this.options.frame.mark(this.draw);
      this.fetchSparks();
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      if (this.rows.length > 0) return;
      this.phase = 'failed';
      setTimeout(() => void this.load(), 2000);
    }
  }

  private async loadFeeds(): Promise<void> {
    if (document.hidden && this.feeds.length > 0) return;
    try {
      this.feeds = await this.options.rest.feeds();
      this.label();
    } catch {
      // The list of feeds is a comfort; the connection's own state tells of trouble.
    }
  }

  /** A simulated market says so on every row, whatever its symbols are called. */
  private label(): void {
    const labels = new Map(
      this.feeds.map((f) => [f.name, f.label || (f.url.startsWith('sim:') ? 'SIM' : '')]),
    );
    for (const row of this.rows) {
      row.label = labels.get(row.feed) || (row.venue === 'SIM' ? 'SIM' : '');
    }
  }

  private readonly take = (messages: readonly Message[]): void => {
    for (const message of messages) {
      switch (message.type) {
        case 'trade': {
          const row = this.row(message.trade.symbol);
          row?.trade(message.trade.price, message.trade.time);
          break;
        }
        case 'quote':
          this.row(message.quote.symbol)?.quote(message.quote.bid, message.quote.ask);
          break;
        case 'status':
          for (const row of this.concerned(message.symbol, message.feed))
            row.flowing(message.state);
          break;
        case 'heartbeat':
          this.hear(message.time);
          break;
      }
    }
    if (this.changed.size > 0) this.options.frame.mark(this.draw);
  };

  /** The rows that a status is about: one, or with `*` all of its feed. */
  private concerned(symbol: string, feed: string): readonly Row[] {
    if (symbol !== '*') return [this.row(symbol)].filter((row) => row !== null);
    const rows = this.rows.filter((row) => feed === '' || row.feed === feed);
    for (const row of rows) this.changed.add(row);
    return rows;
  }

  private row(symbol: string): Row | null {
    const row = this.bySymbol.get(symbol);
    if (row) this.changed.add(row);
    else if (this.phase === 'ready' && symbol !== '') void this.load();
    return row ?? null;
  }

  private hear(time: Instant | null): void {
    if (time === null) return;
    const ahead = this.now() - toMs(time);
    this.clockAhead = this.clockAhead === null ? ahead : Math.min(this.clockAhead, ahead);
  }

  private readonly draw = (): void => {
    const now = this.now();
    for (let i = this.shownFrom; i < Math.min(this.shownTo, this.rows.length); i++) {
      const row = this.rows[i];
      if (row && this.changed.delete(row)) row.draw(this.options.style, now);
    }
    for (const listener of this.listeners) listener();
  };

  private readonly second = (): void => {
    const now = this.now();
    for (const row of this.rows.slice(this.shownFrom, this.shownTo)) row.grow(now);
  };

  private fetchSparks(): void {
    for (const row of this.rows.slice(this.shownFrom, this.shownTo)) {
      if (this.sparksRunning >= sparksAtOnce) return;
      if (row.sparkAsked) continue;
      row.sparkAsked = true;
      this.sparksRunning++;
      void this.fetchSpark(row).finally(() => {
        this.sparksRunning--;
        this.fetchSparks();
      });
    }
  }

  /** The last 90 minutes; of a market that has just begun, as many shorter steps. */
  private async fetchSpark(row: Row): Promise<void> {
    try {
      for (const interval of automatic) {
        const { value } = await this.options.rest.bars(row.symbol, interval, 90, null);
        if (value.bars.length < 30 && interval.seconds > 1) continue;
        const bars = [...value.bars].sort((a, b) => a.t - b.t);
        row.spark.seed(
          interval.seconds,
          bars.map((b) => b.t),
          bars.map((b) => toNumber(b.c)),
        );
        this.options.frame.mark(this.draw);
        return;
      }
    } catch {
      row.sparkAsked = false; // Tried again when the row is next shown.
    }
  }

  private now(): number {
    return (this.options.now ?? Date.now)();
  }
}
