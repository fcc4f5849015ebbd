import { mark } from '../chart/labels.ts';
import type { OffsetAt } from '../chart/zone.ts';
import type { Stretch } from '../market/clock.ts';

/** A mark on the time line: where, in UTC seconds, and which part of a time it is labelled by. */
export interface Tick {
  readonly t: number;
  readonly kind: number;
}

const minute = 60;
const hour = 3600;
const day = 86_400;

/** The distances of marks, shortest first, and how they are labelled. */
const steps: readonly (readonly [seconds: number, kind: number])[] = [
  ...[1, 5, 10, 30].map((s) => [s, mark.second] as const),
  ...[1, 5, 15, 30].map((m) => [m * minute, mark.minute] as const),
  ...[1, 3, 6, 12].map((h) => [h * hour, mark.minute] as const),
  ...[1, 2, 7, 14].map((d) => [d * day, mark.day] as const),
  ...[30, 91].map((d) => [d * day, mark.month] as const),
  ...[365, 1826].map((d) => [d * day, mark.year] as const),
];

/**
 * Evenly spaced marks of a stretch of time, at most so many, at full hours, days
 * and so on of the shown zone. Marks of months and years are apart by their mean
 * length: they say where one is, not where a month begins.
 */
export function ticksOf({ from, to }: Stretch, most: number, offset: OffsetAt): Tick[] {
  const long = to - from;
  if (long <= 0 || most < 1) return [];
  const [step, kind] = steps.find(([seconds]) => long / seconds <= most) ?? [long, mark.year];
  const shift = offset(from) * 60;
  const out: Tick[] = [];
  let t = Math.ceil((from + shift) / step) * step - shift;
  for (; t <= to && out.length < most; t += step) {
    const midnight = kind === mark.minute && (t + shift) % day === 0;
    out.push({ t, kind: midnight ? mark.day : kind });
  }
  return out;
}
