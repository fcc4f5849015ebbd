/** How long after a bar's end the server's own bar is asked for: late trades are in by then. */
const after = 2_500;

/** Bars that are asked for at once, at most. */
const most = 1_000;

/**
 * When bars have closed, the server's own bars of that time take the place of
 * ours. A play of the past closes them faster than it is worth asking for each;
 * then every pause asks for all that closed since.
 */
export class Settler {
  private readonly settle: (bars: number) => void;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private count = 0;

  /** `settle` is told how many of the newest bars to ask for. */
  constructor(settle: (bars: number) => void) {
    this.settle = settle;
  }

  /** A bar has closed. */
  closed(): void {
    this.count++;
    this.timer ??= setTimeout(() => {
      const bars = Math.min(most, this.count + 3);
      this.stop();
      this.settle(bars);
    }, after);
  }

  /** Forgets what had closed: everything is loaded anew. */
  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.count = 0;
  }
}
