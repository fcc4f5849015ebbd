import type { NumberStyle } from '../market/format.ts';
import type { Instant } from '../market/instant.ts';
import { compareInstants, toMs } from '../market/instant.ts';
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

/** How often the list of a moment that moves is asked for, in milliseconds, at the most. */
const pastEvery = 250;

/** Sparklines that are fetched at once; the rest wait, so that the chart is not held up. */
const sparksAtOnce = 3;

/**
 * The watch list: all symbols, kept current by a stream of its own in mode
 * `latest`, which gives at most one trade and quote a symbol per interval however
 * busy the market is. The chart has another stream in mode `every`; the two cannot
 * share one because mode and cursor belong to the connection.
 *
 * In the past there is no stream for it: the list is asked for as of the moment that
 * the chart's clock shows, as often as that is answered, so that both always show
 * the same moment.
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
  /** The moment shown; null for the present. */
  private moment: Instant | null = null;
  /** Rises with every jump in time; answers to questions from before it do not count. */
  private jumps = 0;
  private pace = '50ms';
  private asked: Instant | null = null;
  private asking: ReturnType<typeof setTimeout> | undefined;

  constructor(options: WatchOptions) {
    this.options = options;
  }

  /** Loads the list and keeps it. */
  start(): void {
    void this.load();
    void this.loadFeeds();
    this.join('50ms');
    this.timers.push(
      setInterval(() => {
        if (this.moment === null) void this.load();
      }, symbolsEvery),
    );
    this.timers.push(setInterval(() => void this.loadFeeds(), feedsEvery));
    this.timers.push(setInterval(this.second, 1000));
  }

  stop(): void {
    for (const timer of this.timers) clearInterval(timer);
    clearTimeout(this.asking);
    this.link?.stop();
  }

  /** Shows another moment, or with null the present. */
  rewind(moment: Instant | null): void {
    const back = this.moment !== null && moment === null;
    this.moment = moment;
    this.jumps++;
    this.loading = null;
    clearTimeout(this.asking);
    this.asking = undefined;
    for (const row of this.rows) {
      row.forget();
      this.changed.add(row);
    }
    if (moment !== null) {
      this.link?.stop();
      this.asked = moment;
    } else if (back) this.join(this.pace);
    const { jumps } = this;
    void this.load().finally(() => {
      // The clock may have moved on in the meantime.
      if (jumps === this.jumps && this.moment !== null) this.advance(this.moment);
    });
  }

  /** The clock of the past moved on. */
  advance(moment: Instant): void {
    if (this.moment === null) return;
    this.moment = moment;
    if (this.asking !== undefined || this.loading !== null) return;
    if (this.asked !== null && compareInstants(moment, this.asked) === 0) return;
    this.asked = moment;
    const began = this.now();
    void this.load().finally(() => {
      // A server that takes its time is asked less often.
      const pause = Math.max(pastEvery, 2 * (this.now() - began));
      clearTimeout(this.asking);
      this.asking = setTimeout(() => {
        this.asking = undefined;
        if (this.moment !== null) this.advance(this.moment);
      }, pause);
    });
  }

  /** Joins the stream anew at another pace: slow while nobody looks, to spare both ends. */
  join(every: string): void {
    this.pace = every;
    this.link?.stop();
    if (this.moment !== null) return;
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
    if (this.loading !== null) return this.loading;
    const loading = this.loadSymbols(this.moment, this.jumps).finally(() => {
      if (this.loading === loading) this.loading = null;
    });
    this.loading = loading;
    return loading;
  }

  private async loadSymbols(at: Instant | null, jumps: number): Promise<void> {
    try {
      const { value } = await this.options.rest.symbols(at);
      if (jumps !== this.jumps) return;
      let grown = false;
      for (const info of value) {
        const row = this.bySymbol.get(info.symbol);
        if (row && at !== null) row.follow(info);
        else if (row) row.learn(info);
        else {
          this.bySymbol.set(info.symbol, new Row(info));
          grown = true;
        }
      }
      if (grown) this.rows = this.sorted(value.map((info) => info.symbol));
      for (const row of this.rows) this.changed.add(row);
      this.phase = 'ready';
      this.problem = '';
      this.label();
      this.options.frame.mark(this.draw);
      this.fetchSparks();
    } catch (error) {
      if (jumps !== this.jumps) return;
      this.problem = error instanceof Error ? error.message : String(error);
      if (this.rows.length > 0) return;
      this.phase = 'failed';
      setTimeout(() => void this.load(), 2000);
    }
  }

  /** The rows in the server's order; those of symbols that did not exist yet at a moment of the past come last. */
  private sorted(symbols: readonly string[]): Row[] {
    const named = new Set(symbols);
    const rest = [...this.bySymbol.keys()].filter((symbol) => !named.has(symbol));
    return [...symbols, ...rest].flatMap((symbol) => this.bySymbol.get(symbol) ?? []);
  }

  private async loadFeeds(): Promise<void> {
    if (document.hidden && this.feeds.length > 0) return;
    try {
      this.feeds = (await this.options.rest.feeds()).feeds;
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
    const now = this.shownNow();
    for (let i = this.shownFrom; i < Math.min(this.shownTo, this.rows.length); i++) {
      const row = this.rows[i];
      if (row && this.changed.delete(row)) row.draw(this.options.style, now);
    }
    for (const listener of this.listeners) listener();
  };

  private readonly second = (): void => {
    const now = this.shownNow();
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
        const { moment, jumps } = this;
        const { value } = await this.options.rest.bars(row.symbol, interval, 90, null, moment);
        if (jumps !== this.jumps) return;
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

  /** What ages are counted to. */
  private shownNow(): number {
    return this.moment === null ? this.now() : toMs(this.moment);
  }

  private now(): number {
    return (this.options.now ?? Date.now)();
  }
}
