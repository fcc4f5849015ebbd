import type { Instant } from './instant.ts';

/** How many seconds of the market pass in one of ours; `max` is as fast as it can be read. */
export type Speed = number | 'max';

/** The slowest and the fastest that a number can say. */
export const slowest = 0.1;
export const fastest = 10_000;

/** The speeds to choose from, slowest first. */
export const speeds: readonly Speed[] = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1000, 10_000, 'max'];

/** What the server says of the clock of a stream. */
export interface Clock {
  readonly time: Instant;
  readonly speed: Speed;
  /** Whether the stream has come to the present. */
  readonly live: boolean;
  readonly playing: boolean;
  /** Whether it stopped because there is no more to play. */
  readonly ended: boolean;
}

/** Reads a speed; null when it is none that can be played at. */
export function speedOf(text: string): Speed | null {
  if (text === 'max') return text;
  if (!/^[0-9]+(?:\.[0-9]+)?$/.test(text)) return null;
  const n = Number(text);
  return n >= slowest && n <= fastest ? n : null;
}

/** How a speed is shown: `0.5×`, `10,000×`, `max`. */
export function speedText(speed: Speed): string {
  return speed === 'max' ? 'max' : `${String(speed).replace(/\B(?=(?:[0-9]{3})+$)/g, ',')}×`;
}

/** The next faster or slower of `speeds`, or the same at either end. */
export function faster(speed: Speed, by: 1 | -1): Speed {
  const size = (s: Speed): number => (s === 'max' ? Infinity : s);
  const now = size(speed);
  const next = by > 0 ? speeds.find((s) => size(s) > now) : speeds.findLast((s) => size(s) < now);
  return next ?? speed;
}

/**
 * Whether so fast a play is shown by asking for the bars as of the clock, time
 * after time, instead of folding each trade: a browser has no way to tell a stream
 * to slow down, and what it cannot fold would pile up in its memory.
 */
export function skims(speed: Speed): boolean {
  return speed === 'max' || speed > 120;
}

/** A stretch of time in UTC seconds. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Where a time lies in a stretch, from 0 to 1. */
export function fraction(seconds: number, { from, to }: Stretch): number {
  if (to <= from) return 1;
  return Math.min(1, Math.max(0, (seconds - from) / (to - from)));
}

/** The time at a fraction of a stretch, in whole seconds, so that a drag gives readable moments. */
export function timeAt(share: number, { from, to }: Stretch): number {
  const within = Math.min(1, Math.max(0, share));
  return Math.min(to, Math.max(from, Math.round(from + within * (to - from))));
}
