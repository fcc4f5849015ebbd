import type { Cover, Covered } from '../market/types.ts';

/** A piece of the strip, in pixels from its left edge. */
export interface Segment extends Covered {
  readonly left: number;
  readonly width: number;
}

/** What each state means, in a few words. */
export const meaning: Readonly<Record<Cover, string>> = {
  live: 'we were there when it came',
  backfilled: 'fetched from the venue afterwards',
  imported: 'brought in from a file',
  quiet: 'we were there, nothing was traded',
  closed: 'the market was closed',
  blind: 'we were not there, trades may be missing',
};

/** What is narrower is not seen; a blind spot is never left out, though. */
const narrowest = 0.5;
const blindest = 3;

/**
 * Lays spans out on a strip of so many pixels. `xOf` says where a time lies.
 * Neighbours of the same state become one piece.
 */
export function segmentsOf(
  spans: readonly Covered[],
  width: number,
  xOf: (seconds: number) => number | null,
): Segment[] {
  const out: Segment[] = [];
  for (const span of spans) {
    const [a, b] = [xOf(span.from), xOf(span.to)];
    if (a === null || b === null || b < 0 || a > width) continue;
    const left = Math.max(0, a);
    let long = Math.min(width, b) - left;
    // A time without bars takes no room on the axis; at its edges there is nothing to see.
    const inside = a > 0 && b < width;
    if (span.state === 'blind' && inside) long = Math.max(blindest, long);
    if (long < narrowest) continue;
    const last = out.at(-1);
    if (last?.state === span.state && left - (last.left + last.width) < 1) {
      out[out.length - 1] = { ...last, to: span.to, width: left + long - last.left };
    } else out.push({ ...span, left, width: long });
  }
  return out;
}
