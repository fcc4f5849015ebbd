import { credible } from '../market/candles.ts';
import type { Clock, Speed } from '../market/clock.ts';
import { skims, slowest } from '../market/clock.ts';
import type { Instant } from '../market/instant.ts';
import type { Interval } from '../market/interval.ts';
import { automatic, day } from '../market/interval.ts';
import type { Bar, Trade } from '../market/types.ts';
import { usual, wait } from '../net/backoff.ts';
import { Link } from '../net/link.ts';
import type { Resume } from '../net/resume.ts';
import { idle } from '../net/resume.ts';
import type { Message } from '../net/wire.ts';
import type { ChartSink, Stroke, View } from './brush.ts';
import { Brush } from './brush.ts';
import { firstBars } from './first.ts';
import { Gaps } from './gaps.svelte.ts';
import { Pages } from './pages.ts';
import type { Played, SessionOptions } from './played.ts';
import { controls, newBars, wanted } from './played.ts';
import { Print, printed } from './print.svelte.ts';
import type { Row } from './row.svelte.ts';
import { Settler } from './settler.ts';
import type { Tally } from './tally.ts';
import { Counter, nothingYet } from './tally.ts';

/** Live bars after which the oldest ones are dropped; scrolling back fetches them again. */
const mostAppended = 5_000;

/** After this long out of sight, loading anew is kinder than replaying what was missed. */
const stayAway = 60_000;

/**
 * The bars of the chart: history by REST, which tells the position on the tape
 * that it is good for, and from that position on every trade of the symbol, so
 * that history and live are one series without a seam. A moment of the past is
 * shown in the same way: history as of that moment, and the trades from there on,
 * at the pace of the player.
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
  readonly gaps = new Gaps();

  private readonly options: SessionOptions;
  private readonly brush = new Brush();
  private row: Row | null = null;
  private played: Played | null = null;
  private pages: Pages;
  private appended = 0;
  private link: Link | null = null;
  private loading = new AbortController();
  private retry: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private readonly settler = new Settler((bars) => {
    if (this.interval.seconds === day.seconds) this.load(this.interval, 'place');
    else void this.settle(bars);
  });
  private skimming = false;
  private hiddenAt: number | null = null;

  private readonly counter = new Counter();

  constructor(options: SessionOptions) {
    this.options = options;
    this.pages = this.noPages(automatic[0]);
  }

  get bars(): readonly Bar[] {
    return this.pages.bars;
  }

  /** Sets what draws; null takes it away. It is given what there is at once. */
  attach(sink: ChartSink | null): void {
    this.brush.attach(sink);
    if (sink !== null && this.phase !== 'loading') this.show('opened');
  }

  /** Shows another symbol or interval. Null chooses the interval by how much history there is. */
  open(row: Row, interval: Interval | null, played: Played | null = null): void {
    if (row.symbol !== this.row?.symbol) this.print.clear();
    this.gaps.clear();
    this.row = row;
    this.played = played;
    this.counter.reset();
    this.tally = nothingYet;
    this.attempt = 0;
    this.pages = this.noPages(this.interval);
    this.load(interval);
  }

  /** Shows the same at another moment; null is the present. */
  seek(played: Played | null): void {
    this.played = played;
    if (this.row === null) return;
    this.gaps.clear();
    this.counter.reset();
    this.attempt = 0;
    this.pages = this.noPages(this.interval);
    this.load(this.interval, 'zoom');
  }

  /** Plays on, stands still, or changes the pace, from the moment where it is. */
  pace(playing: boolean, speed: Speed): void {
    const { played } = this;
    if (played === null) return;
    this.played = { ...played, playing, speed };
    // So fast a play is another kind of stream.
    if (skims(speed) !== skims(played.speed)) this.load(this.interval, 'place');
    else this.link?.say(...controls(this.played, played.playing));
  }

  /** Goes on by one trade, while standing still. */
  step(): void {
    if (this.played?.playing === false) this.link?.say({ action: 'step', ticks: 1 });
  }

  /** Tries again at once, for the impatient. */
  again(): void {
    if (this.phase === 'failed') this.load(this.interval);
    this.link?.hurry();
  }

  /** Back to the newest bars, when they were let go of; false when they are here. */
  home(): boolean {
    if (this.pages.cut) this.load(this.interval);
    return this.pages.cut;
  }

  /** Fetches the bars beyond an edge, when there are any and none are on their way. `shown` is how many fit the screen. */
  async scroll(edge: 'older' | 'newer', shown: number): Promise<void> {
    const { pages } = this;
    const paged = await pages[edge](shown, this.played?.from ?? null);
    if (pages !== this.pages || paged === 'nothing') return;
    this.show('all');
    // The end is where trades come in: join them by history and position, as when opening.
    if (paged === 'end') this.load(this.interval, 'place');
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
    if (away > stayAway || cursor === null) this.load(this.interval, 'place');
    else this.link.start(cursor);
  }

  close(): void {
    this.loading.abort();
    clearTimeout(this.retry);
    this.settler.stop();
    this.link?.stop();
    this.link = null;
  }

  private load(interval: Interval | null, view: View = 'home'): void {
    const before = this.link?.current;
    this.close();
    this.print.restart();
    this.loading = new AbortController();
    this.phase = 'loading';
    this.problem = '';
    this.brush.view = view;
    void this.fetch(interval, this.loading.signal, before);
  }

  private async fetch(
    asked: Interval | null,
    signal: AbortSignal,
    before: Resume | undefined,
  ): Promise<void> {
    const { rest } = this.options;
    const symbol = this.row?.symbol ?? '';
    const at = this.played?.from ?? null;
    try {
      const print = this.fetchPrint(symbol, at, signal);
      const { interval, answer } = await firstBars(rest, symbol, asked, at, signal);
      // What was told up to that moment has to be known before the play goes on from it.
      if (at !== null) await print;
      if (signal.aborted) return;
      this.attempt = 0;
      const same = interval === this.interval && this.bars.length > 0;
      this.pages =
        same && this.brush.view === 'place'
          ? this.pages.catchUp(answer.value)
          : new Pages(rest, symbol, interval, answer.value, signal);
      this.interval = interval;
      this.appended = 0;
      // What the stream gives is counted from where this history ends.
      this.counter.restart();
      this.phase = this.bars.length === 0 ? 'empty' : 'ready';
      this.show(same && this.brush.view === 'place' ? 'all' : 'opened');
      this.follow(answer.cursor, before);
    } catch (error) {
      if (signal.aborted) return;
      this.phase = 'failed';
      this.problem = error instanceof Error ? error.message : String(error);
      this.retry = setTimeout(
        () => {
          this.load(asked);
        },
        wait(this.attempt++, usual, Math.random) + 500,
      );
    }
  }

  /** The trades before the stream's first, for the list beside the chart. */
  private async fetchPrint(symbol: string, at: Instant | null, signal: AbortSignal): Promise<void> {
    try {
      const trades = await this.options.rest.trades(symbol, printed, at, signal);
      if (at === null) this.print.seed(trades);
      else this.print.replace(trades);
      this.counter.knows(trades);
      this.options.frame.mark(this.draw);
    } catch {
      // The list fills from the stream then.
    }
  }

  private follow(cursor: string | null, before: Resume | undefined): void {
    const { played } = this;
    this.link = new Link({
      dial: () => {
        const { played: now } = this;
        if (now === null) return this.options.dial();
        return this.options.dialAt(now.from, now.playing ? now.speed : slowest);
      },
      want: wanted(this.row?.symbol ?? '', played),
      // A stream of the past begins to play when it is subscribed to; it cannot be opened standing still.
      opening: () => (this.played === null ? [] : controls(this.played, true)),
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
    this.link.start(played === null ? cursor : null);
  }

  private readonly take = (messages: readonly Message[]): void => {
    const { link } = this;
    const skimmed = this.played !== null && skims(this.played.speed);
    for (const message of messages) {
      if (message.type === 'trade') {
        if (!skimmed && !this.fold(message.trade)) return;
      } else if (message.type === 'gap') {
        if (!this.gaps.mark(message.gap, this.row)) continue;
        // The bars of a time that was filled are asked for anew.
        if (message.gap.filled) void this.settle(4);
        this.show('all');
      } else if (message.type === 'clock') this.hear(message.clock);
      // Whoever hears may have gone somewhere else.
      if (this.link !== link) return;
    }
  };

  private hear(clock: Clock): void {
    if (this.played === null) return;
    this.played = { ...this.played, from: clock.time };
    if (skims(this.played.speed)) void this.skim(clock.time);
    this.options.onClock?.(clock);
  }

  /** Shows where a fast play has come to, by asking instead of folding trades. */
  private async skim(at: Instant): Promise<void> {
    if (this.skimming || this.row === null) return;
    this.skimming = true;
    const { signal } = this.loading;
    try {
      const { rest } = this.options;
      const page = await newBars(
        rest,
        this.row.symbol,
        this.interval,
        this.bars.at(-1),
        at,
        signal,
      );
      await this.fetchPrint(this.row.symbol, at, signal);
      if (signal.aborted || this.pages.cut) return;
      const before = this.pages;
      this.pages = before.catchUp(page);
      this.show(this.pages === before ? 'all' : 'opened');
    } catch {
      // The next word of the clock asks again.
    } finally {
      this.skimming = false;
    }
  }

  /** Folds a trade in; false when a number is missing before it and history is loaded anew. */
  private fold(trade: Trade): boolean {
    if (trade.symbol !== this.row?.symbol) return true;
    const past = this.played !== null;
    const verdict = past ? this.counter.replayed(trade) : this.counter.count(trade);
    if (verdict === 'double') return true;
    if (verdict === 'hole') {
      this.link?.lost(`a trade before number ${String(trade.seq)} did not come`);
      return false;
    }
    this.print.add(trade, past);
    if (!credible(trade, past || this.row.label === 'REPLAY') || this.outsideSession()) return true;
    // What the reader looks at is far from here; the newest bars are fetched when that comes back.
    if (this.pages.cut) return true;
    const { candles } = this.pages;
    const before = candles.newest;
    const change = candles.apply(trade);
    if (before === null) this.show('opened');
    else if (change === 'revised' || (change === 'appended' && this.gaps.since(before.t)))
      this.show('all');
    else this.show('newest', change === 'appended');
    if (change === 'appended' && before !== null) {
      if (this.interval.seconds >= 60) this.settler.closed();
      this.trim();
    }
    return true;
  }

  /** A page that stays open for weeks holds no more bars than one that was just opened, about. */
  private trim(): void {
    if (++this.appended < mostAppended) return;
    this.appended = 0;
    if (this.pages.trim(mostAppended)) this.show('all');
  }

  /** Daily bars of listed stocks are made in the regular session only. */
  private outsideSession(): boolean {
    return (
      this.interval.seconds === day.seconds &&
      this.row?.calendar === 'us-equity' &&
      this.row.state === 'closed'
    );
  }

  private async settle(bars: number): Promise<void> {
    const { pages } = this;
    try {
      const { rest } = this.options;
      const { symbol = '' } = this.row ?? {};
      const at = this.played?.from ?? null;
      const { signal } = this.loading;
      const answer = await rest.bars(symbol, this.interval, bars, null, at, signal);
      if (pages === this.pages && pages.candles.settle(answer.value.bars)) this.show('all');
    } catch {
      // The next bar's end asks again.
    }
  }

  private show(stroke: Stroke, fresh = false): void {
    this.brush.mark(stroke, fresh);
    this.options.frame.mark(this.draw);
  }

  private readonly draw = (): void => {
    const { bars } = this;
    if (this.phase === 'empty' && bars.length > 0) this.phase = 'ready';
    const { seconds: interval } = this.interval;
    const picture = { bars, holes: this.gaps.holes, interval, decimals: this.row?.decimals ?? 2 };
    this.brush.draw(picture, this.phase === 'loading');
    this.tally = this.counter.tally(this.played === null ? this.now() : null);
    this.version++;
    if (!this.print.draw(this.now())) this.options.frame.mark(this.draw);
  };

  private noPages(interval: Interval): Pages {
    const none = { bars: [], more: false };
    return new Pages(this.options.rest, '', interval, none, this.loading.signal);
  }

  private now(): number {
    return (this.options.now ?? Date.now)();
  }
}
