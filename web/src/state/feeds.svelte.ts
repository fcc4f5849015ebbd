import type { Delays, FeedInfo } from '../market/types.ts';
import type { Rest } from '../net/rest.ts';

/** How often feeds are asked for while somebody looks at them, in milliseconds. */
const every = 2_000;

/** How the feeds do, kept current from `start` to `stop`. */
export class FeedBoard {
  feeds = $state.raw<readonly FeedInfo[]>([]);
  /** From the tape to those who listen. */
  sent = $state.raw<Delays | null>(null);
  phase = $state<'loading' | 'ready' | 'failed'>('loading');
  /** Why the newest question was not answered; what was known before stays. */
  problem = $state('');

  private readonly rest: Pick<Rest, 'feeds'>;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking: AbortController | null = null;

  constructor(rest: Pick<Rest, 'feeds'>) {
    this.rest = rest;
  }

  start(): void {
    if (this.asking !== null) return;
    this.asking = new AbortController();
    void this.ask(this.asking.signal);
  }

  stop(): void {
    this.asking?.abort();
    this.asking = null;
    clearTimeout(this.timer);
  }

  private async ask(signal: AbortSignal): Promise<void> {
    // Nobody looks at a hidden page; it asks again soon after it is seen.
    const hidden = typeof document !== 'undefined' && document.hidden && this.phase === 'ready';
    if (!hidden) {
      try {
        const { feeds, sent } = await this.rest.feeds(signal);
        if (signal.aborted) return;
        this.feeds = feeds;
        this.sent = sent;
        this.phase = 'ready';
        this.problem = '';
      } catch (error) {
        if (signal.aborted) return;
        this.problem = error instanceof Error ? error.message : String(error);
        if (this.phase === 'loading') this.phase = 'failed';
      }
    }
    this.timer = setTimeout(() => void this.ask(signal), every);
  }
}
