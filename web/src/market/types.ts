import type { Decimal } from './decimal.ts';
import type { Instant } from './instant.ts';

/** What is known about the flow of ticks of a symbol. */
export type FlowState = 'live' | 'stale' | 'down' | 'closed' | 'halted' | 'unknown';

/** A trade. `seq` counts the trades of its symbol 1, 2, 3 … without a hole. */
export interface Trade {
  readonly symbol: string;
  readonly price: Decimal;
  readonly size: Decimal;
  readonly time: Instant;
  readonly seq: number;
  /** Who took the other's offer: the buyer, the seller, or unknown. */
  readonly taker: 'B' | 'S' | '';
  /** When the server received it; null from servers that do not say. */
  readonly received: Instant | null;
}

/** The best bid and ask. */
export interface Quote {
  readonly symbol: string;
  readonly bid: Decimal;
  readonly bidSize: Decimal;
  readonly ask: Decimal;
  readonly askSize: Decimal;
  readonly time: Instant;
}

/** An interval's open, high, low, close and volume. `t` is its open time in UTC seconds. */
export interface Bar {
  readonly t: number;
  readonly o: Decimal;
  readonly h: Decimal;
  readonly l: Decimal;
  readonly c: Decimal;
  readonly v: Decimal;
  /** The number of trades. */
  readonly n: number;
  /** Whether trades of it may be missing. */
  readonly gappy: boolean;
}

/** A span in which ticks may be missing, and why. */
export interface Gap {
  /** `*` when it concerns all symbols of the feed. */
  readonly symbol: string;
  readonly feed: string;
  readonly from: Instant;
  readonly to: Instant;
  readonly reason: string;
  /** Whether what was missing has been fetched since. */
  readonly filled: boolean;
}

/** A symbol with what the watch list shows of it. */
export interface SymbolInfo {
  /** `VENUE:NAME`. */
  readonly symbol: string;
  readonly venue: string;
  readonly name: string;
  readonly feed: string;
  readonly state: FlowState;
  readonly calendar: string;
  /** Digits after the point of its prices. */
  readonly decimals: number;
  readonly last: { readonly price: Decimal; readonly time: Instant } | null;
  readonly quote: { readonly bid: Decimal; readonly ask: Decimal } | null;
  readonly dayOpen: Decimal | null;
  readonly previousClose: Decimal | null;
}

/** How long a stage took in the last minute, in seconds. */
export interface Delays {
  /** The number of messages measured. */
  readonly count: number;
  /** What half of them took at most. */
  readonly p50: number;
  /** What 99 of 100 took at most. */
  readonly p99: number;
  /** By powers of two; each begins where the one before it ends. */
  readonly buckets: readonly { readonly to: number; readonly n: number }[];
}

/** A gap of a feed, and what became of it. */
export interface FeedGap {
  /** `*` when it concerns all symbols of the feed. */
  readonly symbol: string;
  readonly from: Instant | null;
  readonly to: Instant | null;
  readonly reason: string;
  readonly filled: boolean;
  /** Ticks that were fetched for it. */
  readonly ticks: number;
}

/** A source of ticks and how it does. Parts that the server did not say are null, zero or empty. */
export interface FeedInfo {
  readonly name: string;
  /** Without secrets. */
  readonly url: string;
  readonly state: string;
  readonly since: Instant | null;
  readonly error: string;
  /** Ticks a second. */
  readonly rate: number;
  /** Seconds from the venue's time to ours; null when unknown. */
  readonly latency: number | null;
  readonly lastTick: Instant | null;
  /** Seconds since the last tick, by the server's clock. */
  readonly age: number | null;
  readonly symbols: number;
  /** `SIM` for a simulated market, else empty or the operator's own word. */
  readonly label: string;
  readonly venue: string;
  /** The symbols that it brings; of very many not all. */
  readonly carried: readonly string[];
  readonly connections: number;
  readonly reconnects: number;
  /** Seconds that the venue's clock is ahead of the server's. */
  readonly clockOffset: number | null;
  /** From the venue's time to the server. */
  readonly received: Delays | null;
  /** From there to the tape. */
  readonly taped: Delays | null;
  readonly gapsFilled: number;
  readonly gapsUnfilled: number;
  /** Ticks that were fetched after the fact. */
  readonly backfilled: number;
  readonly duplicates: number;
  /** What could not be used, by reason. */
  readonly dropped: readonly { readonly reason: string; readonly n: number }[];
  readonly refused: readonly { readonly symbol: string; readonly reason: string }[];
  /** The newest first. */
  readonly gaps: readonly FeedGap[];
}

/** All feeds, and how long ticks take from the tape to those who listen. */
export interface FeedList {
  readonly feeds: readonly FeedInfo[];
  readonly sent: Delays | null;
}

/** What is known of a second: we were there, or how else we know, or that we do not. */
export type Cover = 'live' | 'backfilled' | 'imported' | 'quiet' | 'closed' | 'blind';

/** A stretch of time, in UTC seconds with a fraction, of which the same is known. */
export interface Covered {
  readonly from: number;
  readonly to: number;
  readonly state: Cover;
}

/** A trade that did not count for all of a bar: for what it did not, and why. */
export interface LeftOut {
  readonly trade: Trade;
  readonly of: readonly string[];
  readonly why: string;
}

/** A figure of a bar before and after something changed it; null where there was none. */
export interface Changed {
  readonly what: string;
  readonly before: Decimal | null;
  readonly after: Decimal | null;
}

/** A trade that came after its bar had closed, and what it changed. */
export interface Revision {
  readonly seq: number;
  readonly time: Instant | null;
  readonly received: Instant | null;
  readonly price: Decimal | null;
  readonly size: Decimal | null;
  readonly changes: readonly Changed[];
}

/** What a bar was made from. Parts that the server did not say are null or empty. */
export interface Receipt {
  readonly bar: Bar | null;
  /** Whether the bar has closed. */
  readonly final: boolean;
  /** Whether it came as a bar, without the trades that made it. */
  readonly imported: boolean;
  readonly open: Trade | null;
  readonly high: Trade | null;
  readonly low: Trade | null;
  readonly close: Trade | null;
  /** How many trades make its volume, and the first and last of their numbers. */
  readonly count: number | null;
  readonly first: number | null;
  readonly last: number | null;
  readonly leftOut: readonly LeftOut[];
  /** How many were left out in all; the list may be shorter. */
  readonly leftOutCount: number;
  readonly revisions: readonly Revision[];
  /** How many trades came late in all. */
  readonly lateCount: number;
  /** Whether the trades make the very bar that is stored; null when that is not known. */
  readonly matches: boolean | null;
  readonly coverage: readonly Covered[];
}
