import type { Instant } from '../market/instant.ts';
import { toMs } from '../market/instant.ts';
import type { Trade } from '../market/types.ts';

/** What the stream did for the chart so far, for whoever wants to check. */
export interface Tally {
  /** The first and last trade number that the stream gave. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Trades folded into the bars; without holes or doubles it is last − first + 1. */
  readonly applied: number;
  readonly doubles: number;
  readonly holes: number;
  /** Milliseconds from the server's receipt to this screen, the median of late; null when unknown. */
  readonly delay: number | null;
}

export const nothingYet: Tally = {
  firstSeq: 0,
  lastSeq: 0,
  applied: 0,
  doubles: 0,
  holes: 0,
  delay: null,
};

/** Frames whose delay the median is of. */
const remembered = 41;

/** Trades of the past that are remembered: more than are told between two words of the clock. */
const mostSeen = 50_000;

/** Checks the trade numbers of one symbol: 1, 2, 3 … without a hole, whatever happens to the line. */
export class Counter {
  private counts = { ...nothingYet };
  private received: Instant | null = null;
  private delays: number[] = [];
  /** The numbers of trades of the past that were told of late, in the order of telling. */
  private readonly seen = new Set<number>();

  /** Takes a trade in: it follows, or it was here before, or some before it are missing. */
  count(trade: Trade): 'follows' | 'double' | 'hole' {
    const { counts } = this;
    if (trade.seq > 0 && counts.lastSeq > 0) {
      if (trade.seq <= counts.lastSeq) {
        counts.doubles++;
        return 'double';
      }
      if (trade.seq > counts.lastSeq + 1) {
        counts.holes++;
        return 'hole';
      }
    }
    if (counts.firstSeq === 0) counts.firstSeq = trade.seq;
    counts.lastSeq = trade.seq;
    counts.applied++;
    this.received = trade.received;
    return 'follows';
  }

  /** Takes note of trades that history brought, so that a play of the past does not bring them twice. */
  knows(trades: readonly Trade[]): void {
    for (const trade of trades) this.seen.add(trade.seq);
  }

  /**
   * Takes a trade of the past in. It may be played by time, which numbers need not
   * follow, so a missing one tells nothing there; but where the line broke, the play
   * goes on from a moment, and what was told at that very moment comes again.
   */
  replayed(trade: Trade): 'follows' | 'double' {
    const { counts, seen } = this;
    if (trade.seq > 0 && seen.has(trade.seq)) {
      counts.doubles++;
      return 'double';
    }
    seen.add(trade.seq);
    if (seen.size > mostSeen) this.forgetHalf();
    if (counts.firstSeq === 0) counts.firstSeq = trade.seq;
    counts.lastSeq = trade.seq;
    counts.applied++;
    return 'follows';
  }

  private forgetHalf(): void {
    for (const seq of this.seen) {
      if (this.seen.size <= mostSeen / 2) return;
      this.seen.delete(seq);
    }
  }

  /** History was loaded: the stream begins anew from where that ends. */
  restart(): void {
    this.counts = { ...this.counts, firstSeq: 0, lastSeq: 0, applied: 0 };
  }

  /** Forgets everything, for another symbol. */
  reset(): void {
    this.counts = { ...nothingYet };
    this.delays = [];
    this.seen.clear();
  }

  /** The sum so far. Called when it is drawn, at `now` in milliseconds: that ends the delay of the newest trade. Null is for the past, which has none. */
  tally(now: number | null): Tally {
    if (now === null) return { ...this.counts, delay: null };
    if (this.received !== null) {
      this.delays.push(now - toMs(this.received));
      if (this.delays.length > remembered) this.delays.shift();
      this.received = null;
    }
    const sorted = [...this.delays].sort((a, b) => a - b);
    return { ...this.counts, delay: sorted[sorted.length >> 1] ?? null };
  }
}
