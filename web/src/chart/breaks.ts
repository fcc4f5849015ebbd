import type { Bar } from '../market/types.ts';

/** A span without ticks, in UTC seconds, that the chart must not draw across. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** At most this many empty places mark one hole; a weekend of seconds needs no more. */
const mostBlanks = 24;

/** What stands at a place of the time axis. */
export interface Place {
  readonly t: number;
  /** Null for a blank inside a hole. */
  readonly bar: Bar | null;
  /** Whether the line must not go on from this bar to the next. */
  readonly cut: boolean;
}

/**
 * Lays bars and holes out on one axis: blanks stand where a hole is, and the
 * last bar before a hole is cut off from the first one after it.
 *
 * A hole shorter than a bar still cuts when it spans the border between two.
 * The newest bar is never cut, as nothing follows it yet.
 */
export function layOut(bars: readonly Bar[], holes: readonly Span[], interval: number): Place[] {
  const out: Place[] = [];
  const spans = [...holes].filter((h) => h.to > h.from).sort((a, b) => a.from - b.from);
  let next = 0;
  for (let i = 0; i < bars.length; i++) {
    const bar = bars[i];
    if (bar === undefined) break;
    const following = bars[i + 1];
    if (following === undefined) {
      out.push({ t: bar.t, bar, cut: false });
      break;
    }
    while (next < spans.length && (spans[next]?.to ?? 0) <= bar.t) next++;
    const hole = spans[next];
    // The hole matters here when it touches the time between these two bars' openings
    // and does not lie wholly inside the first of them.
    const told = hole !== undefined && hole.from < following.t && hole.to > bar.t + interval - 1e-9;
    // History does not list its holes, but marks the bars at their edges.
    const marked = bar.gappy && following.gappy && following.t - bar.t > interval;
    const cut = told || marked;
    out.push({ t: bar.t, bar, cut });
    if (cut) out.push(...blanks(bar.t, following.t, interval));
  }
  return out;
}

function blanks(from: number, to: number, interval: number): Place[] {
  const missing = Math.round((to - from) / interval) - 1;
  if (missing <= 0) return [];
  const stride = Math.ceil(missing / mostBlanks);
  const out: Place[] = [];
  for (let k = 1; k <= missing; k += stride)
    out.push({ t: from + k * interval, bar: null, cut: true });
  return out;
}
