import type { Clock, Speed } from '../market/clock.ts';
import { skims } from '../market/clock.ts';
import type { Instant } from '../market/instant.ts';
import type { Interval } from '../market/interval.ts';
import type { Bar } from '../market/types.ts';
import type { BarPage } from '../net/answers.ts';
import type { Line } from '../net/link.ts';
import type { Rest } from '../net/rest.ts';
import type { Control, Subscription } from '../net/wire.ts';
import type { Frame } from './frame.ts';

/** A moment of the past that is shown, and how it goes on from there. */
export interface Played {
  readonly from: Instant;
  readonly speed: Speed;
  readonly playing: boolean;
}

export interface SessionOptions {
  readonly rest: Rest;
  readonly dial: () => Line;
  /** Opens a stream that plays the past from a moment on, as soon as it is subscribed to. */
  readonly dialAt: (from: Instant, speed: Speed) => Line;
  readonly frame: Frame;
  /** Called with what the server says of the clock of the past. */
  readonly onClock?: (clock: Clock) => void;
  readonly now?: () => number;
}

/** Bars that are asked for at once, at most, to catch up with a fast play. */
const mostSkimmed = 600;

/** The bars that opened since the newest that is known, and that one again. */
export async function newBars(
  rest: Rest,
  symbol: string,
  interval: Interval,
  newest: Bar | undefined,
  at: Instant,
  signal: AbortSignal,
): Promise<BarPage> {
  const passed = Math.ceil((at.s - (newest?.t ?? -Infinity)) / interval.seconds) + 3;
  const limit = Math.max(4, Math.min(mostSkimmed, passed));
  return (await rest.bars(symbol, interval, limit, null, at, signal)).value;
}

/** What the stream of the chart is asked for, live or from a moment of the past. */
export function wanted(symbol: string, played: Played | null): Subscription {
  const want = { trades: [symbol], quotes: [], played: played !== null };
  if (played === null || !skims(played.speed)) return { ...want, mode: 'every' };
  // The bars are asked for by the clock then; the trades only keep the stream going.
  return { ...want, mode: 'latest', every: '250ms' };
}

/** What to tell a stream that plays (or stands) so that it does what is wanted. */
export function controls({ playing, speed }: Played, plays: boolean): Control[] {
  const pace: Control = { action: 'speed', speed };
  if (!playing) return plays ? [{ action: 'pause' }, pace] : [pace];
  return plays ? [pace] : [pace, { action: 'resume' }];
}
