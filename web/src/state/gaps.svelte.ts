import type { Span } from '../chart/breaks.ts';
import { compareInstants, toMs } from '../market/instant.ts';
import type { Gap } from '../market/types.ts';
import type { Row } from './row.svelte.ts';

/** The holes in what came of one symbol, as far as the stream told of them. */
export class Gaps {
  list = $state.raw<readonly Gap[]>([]);

  /** The same as spans of UTC seconds. */
  get holes(): readonly Span[] {
    return this.list.map((g) => ({ from: toMs(g.from) / 1000, to: toMs(g.to) / 1000 }));
  }

  clear(): void {
    this.list = [];
  }

  /** Whether there is one that ends after a time. */
  since(t: number): boolean {
    return this.holes.some((h) => h.to > t);
  }

  /** Takes word of a gap: a new one, or one that was filled and is none any more. False when it is not about this symbol. */
  mark(gap: Gap, row: Row | null): boolean {
    const mine =
      gap.symbol === '*' ? gap.feed === '' || gap.feed === row?.feed : gap.symbol === row?.symbol;
    if (!mine) return false;
    const others = this.list.filter((g) => compareInstants(g.from, gap.from) !== 0);
    this.list = gap.filled ? others : [...others, gap];
    return true;
  }
}
