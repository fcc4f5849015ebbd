import type { PricePoint } from '../net/answers.ts';
import type { Rest } from '../net/rest.ts';
import { Prices } from '../net/prices.ts';
import type { Server } from '../net/urls.ts';
import type { Instant } from '../market/instant.ts';
import { compareInstants } from '../market/instant.ts';
import type { Frame } from './frame.ts';

/** How many points the live line shows. */
export const livePoints = 50;

/** The live line: the last 50 trades from `/history`, then each one from `/ws/prices`. */
export class LiveLine {
  phase = $state<'loading' | 'ready' | 'failed'>('loading');
  problem = $state('');
  connected = $state(false);
  points = $state.raw<readonly PricePoint[]>([]);

  private readonly rest: Rest;
  private readonly frame: Frame;
  private readonly symbol: string;
  private readonly prices: Prices;
  private arrived: PricePoint[] = [];
  /** The time of the newest trade in the history loaded last; earlier ones are in it. */
  private loadedTo: Instant | null = null;
  private stopped = new AbortController();

  constructor(server: Server, rest: Rest, frame: Frame, symbol: string) {
    this.rest = rest;
    this.frame = frame;
    this.symbol = symbol;
    this.prices = new Prices(server, symbol, {
      onOpen: () => {
        this.connected = true;
        // The stream first, then history: what comes in between is in both, and dropped once.
        void this.load();
      },
      onPrice: (point) => {
        this.arrived.push(point);
        this.frame.mark(this.draw);
      },
      onClosed: () => {
        this.connected = false;
      },
    });
  }

  start(): void {
    this.prices.start();
  }

  stop(): void {
    this.stopped.abort();
    this.prices.stop();
  }

  private async load(): Promise<void> {
    try {
      const rows = await this.rest.history(this.symbol, livePoints, this.stopped.signal);
      this.points = rows.reverse();
      this.loadedTo = this.points.at(-1)?.time ?? null;
      this.phase = 'ready';
      this.frame.mark(this.draw);
    } catch (error) {
      if (this.stopped.signal.aborted) return;
      this.phase = this.points.length > 0 ? 'ready' : 'failed';
      this.problem = error instanceof Error ? error.message : String(error);
    }
  }

  private readonly draw = (): void => {
    if (this.phase === 'loading' || this.arrived.length === 0) return;
    const points = [...this.points];
    for (const point of this.arrived) {
      const { loadedTo } = this;
      if (loadedTo === null || compareInstants(point.time, loadedTo) > 0) points.push(point);
    }
    this.arrived = [];
    this.points = points.slice(-livePoints);
    this.phase = 'ready';
  };
}
