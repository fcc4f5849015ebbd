import type { Stretch } from '../market/clock.ts';
import type { Instant } from '../market/instant.ts';
import type { Interval } from '../market/interval.ts';
import type { Covered, Receipt } from '../market/types.ts';
import type { Rest } from '../net/rest.ts';

/** How long the view has to stand still before its coverage is asked for, in milliseconds. */
const stillness = 250;

/** After this many milliseconds the newest end of the coverage is asked for again. */
const stale = 5_000;

/** The server tells of eleven years at once; seconds. */
const longest = 10 * 365 * 86_400;

/** What is known of the time on the chart: for every second whether we were there, or how else we know. */
export class Coverage {
  spans = $state.raw<readonly Covered[]>([]);

  private readonly rest: Rest;
  private symbol = '';
  private have: Stretch | null = null;
  private askedAt = -Infinity;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = new AbortController();

  constructor(rest: Rest) {
    this.rest = rest;
  }

  /** Says what is on the chart; what is not known of that yet is asked for soon. */
  show(symbol: string, seen: Stretch): void {
    if (symbol !== this.symbol) {
      this.symbol = symbol;
      this.spans = [];
      this.have = null;
    }
    const { have } = this;
    const fresh = Date.now() - this.askedAt < stale;
    const wanted = Math.max(seen.from, seen.to - longest);
    if (have !== null && have.from <= wanted && have.to >= seen.to && fresh) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(symbol, seen), stillness);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.asking.abort();
  }

  private async ask(symbol: string, { from, to }: Stretch): Promise<void> {
    // Half a screen more at either side, so that a small move needs no question.
    const more = Math.ceil((to - from) / 2);
    const end = Math.ceil(to + more);
    const wide = { from: Math.max(end - longest, Math.floor(from - more)), to: end };
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.askedAt = Date.now();
    try {
      const spans = await this.rest.coverage(symbol, wide, signal);
      if (signal.aborted || symbol !== this.symbol) return;
      this.spans = spans;
      this.have = wide;
    } catch {
      // A chart without its coverage is still a chart; the next move asks again.
    }
  }
}

/** The receipt of one bar, while it is looked at. */
export class ReceiptView {
  phase = $state<'loading' | 'ready' | 'failed'>('loading');
  problem = $state('');
  receipt = $state.raw<Receipt | null>(null);
  readonly t: number;
  readonly interval: Interval;

  private readonly asking = new AbortController();

  constructor(rest: Rest, symbol: string, interval: Interval, t: number, at: Instant | null) {
    this.t = t;
    this.interval = interval;
    void this.load(rest, symbol, at);
  }

  close(): void {
    this.asking.abort();
  }

  private async load(rest: Rest, symbol: string, at: Instant | null): Promise<void> {
    const { signal } = this.asking;
    try {
      this.receipt = await rest.receipt(symbol, this.interval, this.t, at, signal);
      this.phase = 'ready';
    } catch (error) {
      if (signal.aborted) return;
      this.problem = error instanceof Error ? error.message : String(error);
      this.phase = 'failed';
    }
  }
}
