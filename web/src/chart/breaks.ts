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

/** The open times of the bars on either side of each hole. */
export function cuts(places: readonly Place[]): [from: number, to: number][] {
  const out: [number, number][] = [];
  let from: number | null = null;
  for (const { t, bar, cut } of places) {
    if (bar === null) continue;
    if (from !== null) out.push([from, t]);
    from = cut ? t : null;
  }
  return out;
}

/** The index of the last place at or before a time; -1 when there is none. */
export function floorIn(places: readonly Place[], t: number): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((places[middle]?.t ?? Infinity) <= t) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The index of the place of exactly that time; null when there is none. */
export function findIn(places: readonly Place[], t: number): number | null {
  const at = floorIn(places, t);
  return places[at]?.t === t ? at : null;
}

/**
 * Where a time lies on an axis that numbers its places: bar number 3 reaches from
 * 2.5 to 3.5. A time between two bars without a place of its own lies on their
 * border; one outside of all bars at the edge of the first or last. Null when
 * there are none.
 */
export function logicalAt(
  places: readonly Place[],
  seconds: number,
  interval: number,
): number | null {
  const at = Math.max(0, floorIn(places, seconds));
  const [place, next] = [places[at], places[at + 1]];
  if (place === undefined) return null;
  // A blank inside a hole reaches to the next place, a bar no further than itself.
  const long = place.bar === null && next !== undefined ? next.t - place.t : interval;
  return at - 0.5 + Math.min(1, Math.max(0, (seconds - place.t) / long));
}
