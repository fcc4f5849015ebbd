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

/** Checks the trade numbers of one symbol: 1, 2, 3 … without a hole, whatever happens to the line. */
export class Counter {
  private counts = { ...nothingYet };
  private received: Instant | null = null;
  private delays: number[] = [];

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

  /** History was loaded: the stream begins anew from where that ends. */
  restart(): void {
    this.counts = { ...this.counts, firstSeq: 0, lastSeq: 0, applied: 0 };
  }

  /** Forgets everything, for another symbol. */
  reset(): void {
    this.counts = { ...nothingYet };
    this.delays = [];
  }

  /** The sum so far. Called when it is drawn, at `now` in milliseconds: that ends the delay of the newest trade. */
  tally(now: number): Tally {
    if (this.received !== null) {
      this.delays.push(now - toMs(this.received));
      if (this.delays.length > remembered) this.delays.shift();
      this.received = null;
    }
    const sorted = [...this.delays].sort((a, b) => a - b);
    return { ...this.counts, delay: sorted[sorted.length >> 1] ?? null };
  }
}
