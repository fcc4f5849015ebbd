import type { Span } from '../chart/breaks.ts';
import { Candles, credible } from '../market/candles.ts';
import { compareInstants, toMs } from '../market/instant.ts';
import type { Interval } from '../market/interval.ts';
import { automatic } from '../market/interval.ts';
import type { Bar, Gap, Trade } from '../market/types.ts';
import { usual, wait } from '../net/backoff.ts';
import type { Line } from '../net/link.ts';
import { Link } from '../net/link.ts';
import type { BarPage } from '../net/answers.ts';
import type { AsOf, Rest } from '../net/rest.ts';
import type { Resume } from '../net/resume.ts';
import { idle } from '../net/resume.ts';
import type { Message } from '../net/wire.ts';
import type { Frame } from './frame.ts';
import { firstBars } from './first.ts';
import { Print, printed } from './print.svelte.ts';
import type { Row } from './row.svelte.ts';
import type { Tally } from './tally.ts';
import { Counter, nothingYet } from './tally.ts';

/** What draws the bars; the session tells it what changed, at most once a frame. */
export interface ChartSink {
  open(bars: readonly Bar[], holes: readonly Span[], interval: number, decimals: number): void;
  replace(bars: readonly Bar[], holes: readonly Span[]): void;
  update(newest: readonly Bar[]): void;
}

export interface SessionOptions {
  readonly rest: Rest;
  readonly dial: () => Line;
  readonly frame: Frame;
  readonly now?: () => number;
}

const laterPage = 1000;

/** Live bars after which the oldest ones are dropped; scrolling back fetches them again. */
const mostAppended = 5_000;

/** After this long out of sight, loading anew is kinder than replaying what was missed. */
const stayAway = 60_000;

/** How long after a bar's end the server's own bar is asked for: late trades are in by then. */
const settleAfter = 2_500;

/**
 * The bars of the chart: history by REST, which tells the position on the tape
 * that it is good for, and from that position on every trade of the symbol, so
 * that history and live are one series without a seam.
 */
export class Session {
  phase = $state<'loading' | 'ready' | 'empty' | 'failed'>('loading');
  problem = $state('');
  connection = $state.raw<Resume>(idle);
  tally = $state.raw<Tally>(nothingYet);
  interval = $state.raw<Interval>(automatic[0]);
  /** Rises when bars changed, for what shows them as text. */
  version = $state(0);
  readonly print = new Print();
  gaps = $state.raw<readonly Gap[]>([]);

  private readonly options: SessionOptions;
  private sink: ChartSink | null = null;
  private row: Row | null = null;
  private candles = new Candles(automatic[0], []);
  /** Whether the server has older bars than these. */
  private more = false;
  private appended = 0;
  private link: Link | null = null;
  private loading = new AbortController();
  private retry: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private settling: ReturnType<typeof setTimeout> | undefined;
  private fetchingOlder = false;
  private hiddenAt: number | null = null;

  private dirty: 'no' | 'newest' | 'all' | 'opened' = 'no';
  private fresh = 0;
  private readonly counter = new Counter();

  constructor(options: SessionOptions) {
    this.options = options;
  }

  get bars(): readonly Bar[] {
    return this.candles.all;
  }

  get holes(): readonly Span[] {
    return this.gaps.map((g) => ({ from: toMs(g.from) / 1000, to: toMs(g.to) / 1000 }));
  }

  /** Sets what draws; null takes it away. It is given what there is at once. */
  attach(sink: ChartSink | null): void {
    this.sink = sink;
    if (sink !== null && this.phase !== 'loading') this.show('opened');
  }

  /** Shows another symbol or interval. Null chooses the interval by how much history there is. */
  open(row: Row, interval: Interval | null): void {
    if (row.symbol !== this.row?.symbol) {
      this.gaps = [];
      this.print.clear();
    }
    this.row = row;
    this.counter.reset();
    this.tally = nothingYet;
    this.attempt = 0;
    this.load(interval);
  }

  /** Tries again at once, for the impatient. */
  again(): void {
    if (this.phase === 'failed') this.load(this.interval);
    this.link?.hurry();
  }

  /** Fetches older bars, when there are any and none are on their way. */
  async older(): Promise<void> {
    const oldest = this.bars[0];
    if (!this.more || this.fetchingOlder || oldest === undefined) return;
    this.fetchingOlder = true;
    try {
      const { candles } = this;
      const { value } = await this.fetchBars(laterPage, oldest.t);
      if (candles !== this.candles) return;
      this.more = value.more;
      if (candles.prepend(value.bars) > 0) this.show('all');
    } catch {
      // Scrolling asks again.
    } finally {
      this.fetchingOlder = false;
    }
  }

  /** The page went out of sight: stop listening; the cursor keeps the place. */
  hide(): void {
    this.hiddenAt = this.now();
    this.link?.stop();
  }

  /** The page is seen again: go on from the cursor, or load anew after a long while. */
  unhide(): void {
    const away = this.hiddenAt === null ? 0 : this.now() - this.hiddenAt;
    this.hiddenAt = null;
    const cursor = this.link?.current.cursor ?? null;
    if (this.link === null) return;
    if (away > stayAway || cursor === null) this.load(this.interval);
    else this.link.start(cursor);
  }

  close(): void {
    this.loading.abort();
    clearTimeout(this.retry);
    clearTimeout(this.settling);
    this.settling = undefined;
    this.link?.stop();
    this.link = null;
  }

  private load(interval: Interval | null): void {
    const before = this.link?.current;
    this.close();
    this.print.restart();
    this.loading = new AbortController();
    this.phase = 'loading';
    this.problem = '';
    void this.fetch(interval, this.loading.signal, before);
  }

  private async fetch(
    wanted: Interval | null,
    signal: AbortSignal,
    before: Resume | undefined,
  ): Promise<void> {
    try {
      void this.fetchPrint(signal);
      const { interval, answer } = await firstBars(
        this.options.rest,
        this.row?.symbol ?? '',
        wanted,
        signal,
      );
      this.interval = interval;
      this.attempt = 0;
      this.candles = new Candles(this.interval, answer.value.bars);
      this.more = answer.value.more;
      this.appended = 0;
      // What the stream gives is counted from where this history ends.
      this.counter.restart();
      this.phase = this.bars.length === 0 ? 'empty' : 'ready';
      this.show('opened');
      this.follow(answer.cursor, before);
    } catch (error) {
      if (signal.aborted) return;
      this.phase = 'failed';
      this.problem = error instanceof Error ? error.message : String(error);
      this.retry = setTimeout(
        () => {
          this.load(wanted);
        },
        wait(this.attempt++, usual, Math.random) + 500,
      );
    }
  }

  /** The trades before the stream's first, for the list beside the chart. */
  private async fetchPrint(signal: AbortSignal): Promise<void> {
    if (this.row === null) return;
    try {
      this.print.seed(await this.options.rest.trades(this.row.symbol, printed, signal));
      this.options.frame.mark(this.draw);
    } catch {
      // The list fills from the stream then.
    }
  }

  private fetchBars(limit: number, before: number | null): Promise<AsOf<BarPage>> {
    const { symbol = '' } = this.row ?? {};
    return this.options.rest.bars(symbol, this.interval, limit, before, this.loading.signal);
  }

  private follow(cursor: string | null, before: Resume | undefined): void {
    const symbol = this.row?.symbol ?? '';
    this.link = new Link({
      dial: this.options.dial,
      want: { trades: [symbol], quotes: [], mode: 'every' },
      owner: {
        onMessages: this.take,
        onState: (state) => {
          this.connection = {
            ...state,
            resumes: state.resumes + (before?.resumes ?? 0),
            reloads: state.reloads + (before?.reloads ?? 0),
          };
        },
        onReload: () => {
          this.load(this.interval);
        },
      },
    });
    this.link.start(cursor);
  }

  private readonly take = (messages: readonly Message[]): void => {
    for (const message of messages) {
      if (message.type === 'trade') {
        if (!this.fold(message.trade)) return;
      } else if (message.type === 'gap') this.mark(message.gap);
    }
  };

  /** Folds a trade in; false when a number is missing before it and history is loaded anew. */
  private fold(trade: Trade): boolean {
    if (trade.symbol !== this.row?.symbol) return true;
    const verdict = this.counter.count(trade);
    if (verdict === 'double') return true;
    if (verdict === 'hole') {
      this.link?.lost(`a trade before number ${String(trade.seq)} did not come`);
      return false;
    }
    this.print.add(trade);
    if (!credible(trade, this.row.label === 'REPLAY') || this.outsideSession()) return true;
    const before = this.candles.newest;
    const change = this.candles.apply(trade);
    if (before === null) this.show('opened');
    else if (change === 'revised' || (change === 'appended' && this.holeSince(before.t)))
      this.show('all');
    else {
      if (change === 'appended') this.fresh++;
      this.show('newest');
    }
    if (change === 'appended' && before !== null) {
      this.settleSoon();
      this.trim();
    }
    return true;
  }

  /** A page that stays open for weeks holds no more bars than one that was just opened, about. */
  private trim(): void {
    if (++this.appended < mostAppended) return;
    this.appended = 0;
    if (!this.candles.trim(mostAppended)) return;
    this.more = true;
    this.show('all');
  }

  /** Daily bars of listed stocks are made in the regular session only. */
  private outsideSession(): boolean {
    return (
      this.interval.seconds === 86400 &&
      this.row?.calendar === 'us-equity' &&
      this.row.state === 'closed'
    );
  }

  private holeSince(t: number): boolean {
    return this.holes.some((h) => h.to > t);
  }

  private mark(gap: Gap): void {
    const { row } = this;
    const mine =
      gap.symbol === '*' ? gap.feed === '' || gap.feed === row?.feed : gap.symbol === row?.symbol;
    if (!mine) return;
    // What was filled is no hole any more; the bars of that time are asked for anew.
    const others = this.gaps.filter((g) => compareInstants(g.from, gap.from) !== 0);
    this.gaps = gap.filled ? others : [...others, gap];
    if (gap.filled) void this.settle();
    this.show('all');
  }

  /** When a bar has closed, the server's own bar of that time takes the place of ours. */
  private settleSoon(): void {
    if (this.interval.seconds < 60) return;
    // A replay may close bars faster than this; then every pause settles the last few.
    this.settling ??= setTimeout(() => {
      this.settling = undefined;
      if (this.interval.seconds === 86400) this.load(this.interval);
      else void this.settle();
    }, settleAfter);
  }

  private async settle(): Promise<void> {
    const { candles } = this;
    try {
      const answer = await this.fetchBars(4, null);
      if (candles === this.candles && candles.settle(answer.value.bars)) this.show('all');
    } catch {
      // The next bar's end asks again.
    }
  }

  private show(what: 'newest' | 'all' | 'opened'): void {
    const rank = { no: 0, newest: 1, all: 2, opened: 3 } as const;
    if (rank[what] > rank[this.dirty]) this.dirty = what;
    this.options.frame.mark(this.draw);
  }

  private readonly draw = (): void => {
    const { dirty, fresh, sink } = this;
    this.dirty = 'no';
    this.fresh = 0;
    const bars = this.bars;
    if (this.phase === 'empty' && bars.length > 0) this.phase = 'ready';
    if (dirty === 'opened' && this.phase !== 'loading') {
      sink?.open(bars, this.holes, this.interval.seconds, this.row?.decimals ?? 2);
    } else if (dirty === 'all') sink?.replace(bars, this.holes);
    else if (dirty === 'newest') sink?.update(bars.slice(-1 - fresh));
    this.tally = this.counter.tally(this.now());
    this.version++;
    if (!this.print.draw(this.now())) this.options.frame.mark(this.draw);
  };

  private now(): number {
    return (this.options.now ?? Date.now)();
  }
}
