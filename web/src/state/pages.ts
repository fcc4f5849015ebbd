import { Candles } from '../market/candles.ts';
import type { Instant } from '../market/instant.ts';
import type { Interval } from '../market/interval.ts';
import type { Bar } from '../market/types.ts';
import type { BarPage } from '../net/answers.ts';
import type { AsOf } from '../net/rest.ts';

/** The calls that pages are fetched with. */
export interface BarSource {
  bars(
    name: string,
    interval: Interval,
    limit: number,
    before: number | null,
    at: Instant | null,
    signal?: AbortSignal,
  ): Promise<AsOf<BarPage>>;
  barsAfter(
    name: string,
    interval: Interval,
    limit: number,
    after: number,
    at: Instant | null,
    signal?: AbortSignal,
  ): Promise<AsOf<BarPage>>;
}

/** The fewest and the most bars of a page; in between it is as long as what the screen shows. */
const shortestPage = 1_000;
const longestPage = 5_000;

/** Bars held at once, whatever was scrolled past: some screens of the narrowest bars there are. */
export const mostBars = 15_000;

/** What a call for a page changed. */
export type Paged = 'nothing' | 'bars' | 'end';

/**
 * A window on a history without end. Scrolling fetches pages at either end of it
 * and lets go of bars at the other, so that memory stays bounded however far one
 * goes. While it does not reach the newest bar (`cut`), live trades have no place
 * in it.
 */
export class Pages {
  readonly candles: Candles;
  /** Whether the server has older bars than these. */
  more: boolean;
  /** Whether newer bars were let go of. */
  cut = false;

  private readonly source: BarSource;
  private readonly symbol: string;
  private readonly signal: AbortSignal;
  private fetching = false;

  constructor(
    source: BarSource,
    symbol: string,
    interval: Interval,
    first: BarPage,
    signal: AbortSignal,
  ) {
    this.source = source;
    this.symbol = symbol;
    this.candles = new Candles(interval, first.bars);
    this.more = first.more;
    this.signal = signal;
  }

  get bars(): readonly Bar[] {
    return this.candles.all;
  }

  /** Fetches older bars, when there are any and no page is on its way. `shown` is how many bars fit the screen. */
  older(shown: number, at: Instant | null): Promise<Paged> {
    const oldest = this.bars[0];
    if (!this.more || oldest === undefined) return Promise.resolve('nothing');
    return this.page(async () => {
      const { interval } = this.candles;
      const limit = pageFor(shown);
      const { value } = await this.ask('bars', interval, limit, oldest.t, at);
      this.more = value.more;
      if (this.candles.prepend(value.bars) === 0) return 'nothing';
      if (this.candles.trimNewest(mostBars)) this.cut = true;
      return 'bars';
    });
  }

  /** Fetches the bars that follow, after newer ones were let go of; `end` when they reach the newest. */
  newer(shown: number, at: Instant | null): Promise<Paged> {
    const newest = this.candles.newest;
    if (!this.cut || newest === null) return Promise.resolve('nothing');
    return this.page(async () => {
      const { interval } = this.candles;
      const { value } = await this.ask('barsAfter', interval, pageFor(shown), newest.t, at);
      this.candles.append(value.bars);
      if (this.candles.trim(mostBars)) this.more = true;
      return value.more ? 'bars' : 'end';
    });
  }

  /** Drops the oldest bars beyond so many. Returns whether there were any. */
  trim(keep: number): boolean {
    if (!this.candles.trim(keep)) return false;
    this.more = true;
    return true;
  }

  /**
   * Takes newer bars up, the forming one included. When they do not reach back to
   * what is here, they stand alone: a line across what is not known would be false.
   */
  catchUp(page: BarPage): Pages {
    const oldest = Math.min(...page.bars.map((bar) => bar.t));
    const newest = this.candles.newest;
    if (newest === null || (oldest > newest.t && page.more)) {
      return new Pages(this.source, this.symbol, this.candles.interval, page, this.signal);
    }
    this.candles.append(page.bars);
    this.cut = false;
    this.trim(mostBars);
    return this;
  }

  private async page(fetch: () => Promise<Paged>): Promise<Paged> {
    if (this.fetching) return 'nothing';
    this.fetching = true;
    try {
      return await fetch();
    } catch {
      return 'nothing'; // Scrolling asks again.
    } finally {
      this.fetching = false;
    }
  }

  private ask(
    which: 'bars' | 'barsAfter',
    interval: Interval,
    limit: number,
    edge: number,
    at: Instant | null,
  ): Promise<AsOf<BarPage>> {
    return this.source[which](this.symbol, interval, limit, edge, at, this.signal);
  }
}

function pageFor(shown: number): number {
  return Math.min(longestPage, Math.max(shortestPage, Math.ceil(shown)));
}
