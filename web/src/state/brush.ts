import type { Span } from '../chart/breaks.ts';
import type { Bar } from '../market/types.ts';

/** What draws the bars; the session tells it what changed, at most once a frame. */
export interface ChartSink {
  /** Other bars. With `keep` the same series at another moment: it is shown as wide as before. */
  open(
    bars: readonly Bar[],
    holes: readonly Span[],
    interval: number,
    decimals: number,
    keep: boolean,
  ): void;
  replace(bars: readonly Bar[], holes: readonly Span[]): void;
  update(newest: readonly Bar[]): void;
}

/** What there is to draw. */
export interface Picture {
  readonly bars: readonly Bar[];
  readonly holes: readonly Span[];
  /** Seconds of a bar. */
  readonly interval: number;
  readonly decimals: number;
}

/** What changed: some of the newest bars, any bars, or all of them. */
export type Stroke = 'newest' | 'all' | 'opened';

/** How the view goes on when bars were loaded: at the newest, as wide as before, or where it is. */
export type View = 'home' | 'zoom' | 'place';

const rank = { no: 0, newest: 1, all: 2, opened: 3 } as const;

/** Sums up what changed since the last frame, so that a frame draws no more than it must. */
export class Brush {
  view: View = 'home';

  private sink: ChartSink | null = null;
  private dirty: 'no' | Stroke = 'no';
  private fresh = 0;

  /** Sets what draws. It begins at the newest bar. */
  attach(sink: ChartSink | null): void {
    this.sink = sink;
    this.view = 'home';
  }

  /** Takes note of a change; `fresh` when a bar came after all others. */
  mark(stroke: Stroke, fresh = false): void {
    if (rank[stroke] > rank[this.dirty]) this.dirty = stroke;
    if (fresh) this.fresh++;
  }

  /** Draws the sum of the changes. While other bars are on their way those that there were stay. */
  draw({ bars, holes, interval, decimals }: Picture, loading: boolean): void {
    const { dirty, fresh, sink } = this;
    this.dirty = 'no';
    this.fresh = 0;
    if (dirty === 'opened' && !loading) {
      sink?.open(bars, holes, interval, decimals, this.view !== 'home');
      if (bars.length > 0) this.view = 'zoom';
    } else if (dirty === 'all') sink?.replace(bars, holes);
    else if (dirty === 'newest') sink?.update(bars.slice(-1 - fresh));
  }
}
