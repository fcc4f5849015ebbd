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

/** A source of ticks and how it does. */
export interface FeedInfo {
  readonly name: string;
  readonly url: string;
  readonly state: string;
  readonly error: string;
  /** Ticks a second. */
  readonly rate: number;
  /** Seconds from the venue's time to ours; null when unknown. */
  readonly latency: number | null;
  readonly lastTick: Instant | null;
  readonly symbols: number;
  /** `SIM` for a simulated market, else empty or the operator's own word. */
  readonly label: string;
}
