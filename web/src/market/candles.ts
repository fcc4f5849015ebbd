import { add, compare } from './decimal.ts';
import type { Instant } from './instant.ts';
import { compareInstants } from './instant.ts';
import type { Interval } from './interval.ts';
import { bucketOf } from './interval.ts';
import type { Bar, Trade } from './types.ts';

/** What applying a trade or a bar did, so that the chart redraws no more than it must. */
export type Change = 'appended' | 'updated' | 'revised';

/** Seconds that a trade's own time may be ahead of its arrival. The server's bars keep the same limit. */
const mostAhead = 10;

/**
 * Whether a trade's time can be believed; one from the future would open bars that the market has not reached. The
 * times of a replayed file have nothing to do with their arrival.
 */
export function credible(trade: Trade, replayed: boolean): boolean {
  return replayed || trade.received === null || trade.time.s - trade.received.s <= mostAhead;
}

/** A bar with the times of the trades that made its open and close, as far as we saw them. */
interface Kept extends Bar {
  readonly first?: Instant;
  readonly last?: Instant;
}

/**
 * The bars of one symbol and interval: history from the server, kept up to date
 * by folding live trades into it.
 *
 * Bars are in strictly rising order of `t`. Without a trade there is no bar: a
 * quiet interval is absent, never a flat candle. A late trade goes into the bar
 * of its own time and leaves later bars alone.
 */
export class Candles {
  readonly interval: Interval;
  private readonly bars: Kept[];

  /** `history` may be in either order, and is copied. */
  constructor(interval: Interval, history: readonly Bar[]) {
    this.interval = interval;
    this.bars = normalise(history);
  }

  /** The bars, oldest first. Not to be changed by the caller. */
  get all(): readonly Bar[] {
    return this.bars;
  }

  get newest(): Bar | null {
    return this.bars.at(-1) ?? null;
  }

  /** Folds one trade in, and says what that did. */
  apply(trade: Trade): Change {
    const newest = this.newest;
    const t = bucketOf(trade.time.s, this.interval, newest?.t ?? 0);
    if (newest === null || t > newest.t) {
      this.bars.push(opened(t, trade));
      return 'appended';
    }
    const at = t === newest.t ? this.bars.length - 1 : this.find(t);
    const bar = this.bars[at];
    if (bar?.t === t) this.bars[at] = grown(bar, trade, bar === newest);
    else this.bars.splice(at, 0, opened(t, trade));
    return t === newest.t ? 'updated' : 'revised';
  }

  /**
   * Puts older bars in front. Bars that are already here stay as they are: those
   * here have live trades in them.
   */
  prepend(older: readonly Bar[]): number {
    const first = this.bars[0]?.t ?? Infinity;
    const fresh = normalise(older).filter((bar) => bar.t < first);
    this.bars.unshift(...fresh);
    return fresh.length;
  }

  /** Puts newer bars behind; those that are here already give way to them. */
  append(newer: readonly Bar[]): void {
    const all = normalise([...this.bars, ...newer]);
    this.bars.splice(0, this.bars.length, ...all);
  }

  /** Drops the newest bars beyond the oldest `keep`. Returns whether there were any. */
  trimNewest(keep: number): boolean {
    return this.bars.splice(keep).length > 0;
  }

  /** Drops the oldest bars beyond the newest `keep`, so that memory stays bounded. Returns whether there were any. */
  trim(keep: number): boolean {
    return this.bars.splice(0, Math.max(0, this.bars.length - keep)).length > 0;
  }

  /**
   * Takes the server's word for closed bars, which knows late and cancelled trades
   * and the venue's rules. The newest bar and anything after it is left alone: it
   * is still being made from trades that the answer may not have seen. Returns
   * whether anything changed.
   */
  settle(official: readonly Bar[]): boolean {
    const newest = this.newest;
    if (newest === null) return false;
    let changed = false;
    for (const bar of official) {
      if (bar.t >= newest.t) continue;
      const at = this.find(bar.t);
      const mine = this.bars[at];
      if (mine?.t !== bar.t) {
        // Older than all we hold: that is history, which `prepend` is for.
        if (at === 0) continue;
        this.bars.splice(at, 0, bar);
        changed = true;
      } else if (!same(mine, bar)) {
        this.bars[at] = bar;
        changed = true;
      }
    }
    return changed;
  }

  /** The index of the first bar at or after t. */
  private find(t: number): number {
    let low = 0;
    let high = this.bars.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.bars[middle]?.t ?? Infinity) < t) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function opened(t: number, trade: Trade): Kept {
  const p = trade.price;
  return {
    t,
    o: p,
    h: p,
    l: p,
    c: p,
    v: trade.size,
    n: 1,
    gappy: false,
    first: trade.time,
    last: trade.time,
  };
}

/**
 * A bar with one more trade in it. Open and close are those of the earliest and
 * the latest trade by their own times, whatever order they came in. Of a bar that
 * came from the server those times are not known: then its open stands, and its
 * close gives way only while it is the newest bar.
 */
function grown(bar: Kept, trade: Trade, newest: boolean): Kept {
  const { price, time } = trade;
  const opens = bar.first !== undefined && compareInstants(time, bar.first) < 0;
  const closes = bar.last === undefined ? newest : compareInstants(time, bar.last) >= 0;
  const first = opens ? time : bar.first;
  const last = closes ? time : bar.last;
  return {
    t: bar.t,
    o: opens ? price : bar.o,
    h: compare(price, bar.h) > 0 ? price : bar.h,
    l: compare(price, bar.l) < 0 ? price : bar.l,
    c: closes ? price : bar.c,
    v: add(bar.v, trade.size),
    n: bar.n + 1,
    gappy: bar.gappy,
    ...(first === undefined ? {} : { first }),
    ...(last === undefined ? {} : { last }),
  };
}

function normalise(bars: readonly Bar[]): Bar[] {
  const sorted = [...bars].sort((a, b) => a.t - b.t);
  return sorted.filter((bar, i) => sorted[i + 1]?.t !== bar.t);
}

function same(a: Bar, b: Bar): boolean {
  return (
    a.n === b.n &&
    a.gappy === b.gappy &&
    compare(a.o, b.o) === 0 &&
    compare(a.h, b.h) === 0 &&
    compare(a.l, b.l) === 0 &&
    compare(a.c, b.c) === 0 &&
    compare(a.v, b.v) === 0
  );
}
