/** The zone in which times are shown: the reader's own, or UTC. */
export type Zone = 'local' | 'utc';

/** Minutes to add to UTC at a moment. A function, so that tests bring zones of their own. */
export type OffsetAt = (seconds: number) => number;

/** The offsets of the browser's zone. */
export const localOffset: OffsetAt = (seconds) => -new Date(seconds * 1000).getTimezoneOffset();

/** No offset at all. */
export const utcOffset: OffsetAt = () => 0;

/** Small enough that an hour of one-second bars squeezed together stays within 2 s. */
const squeeze = 1 / 2048;

/**
 * Times as the chart library wants them, and back.
 *
 * The library knows no zones and finds the days and hours of its axis in UTC.
 * So each bar is shifted by the offset that holds at that bar. In autumn, when
 * an hour repeats, shifting alone would send two bars to one place or run
 * backwards, which the library refuses; the second pass of the hour is squeezed
 * to just after the first, strictly rising. Labels are made from the true time
 * (`trueTime`), never from the shifted one.
 */
export class TimeAxis {
  private readonly offset: OffsetAt;
  private real: number[] = [];
  private shown: number[] = [];

  constructor(offset: OffsetAt) {
    this.offset = offset;
  }

  /** Replaces all times; `seconds` is strictly rising. Returns the shown times, in step. */
  set(seconds: readonly number[]): readonly number[] {
    this.real = [];
    this.shown = [];
    for (const s of seconds) this.append(s);
    return this.shown;
  }

  /** Adds a time after all others and returns how it is shown. */
  append(seconds: number): number {
    const shifted = seconds + this.offset(seconds) * 60;
    const last = this.shown.at(-1);
    const shown = last !== undefined && shifted <= last ? last + squeeze : shifted;
    this.real.push(seconds);
    this.shown.push(shown);
    return shown;
  }

  /** How a time that was set or appended is shown; null for any other. */
  shownAt(seconds: number): number | null {
    const at = search(this.real, seconds);
    return this.real[at] === seconds ? (this.shown[at] ?? null) : null;
  }

  /** The true time of a shown one; for one that was never given, the nearest honest guess. */
  trueTime(shown: number): number {
    const at = search(this.shown, shown);
    if (this.shown[at] === shown) return this.real[at] ?? shown;
    // Between or beyond the bars: keep the distance to the bar before.
    const base = Math.max(0, at - 1);
    const real = this.real[base];
    const near = this.shown[base];
    if (real !== undefined && near !== undefined) return real + (shown - near);
    return shown - this.offset(shown) * 60;
  }
}

/** The index of the first element at or after the wanted one. */
function search(sorted: readonly number[], wanted: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? Infinity) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
