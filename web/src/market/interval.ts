/** The lengths of bars that the screen offers, shortest first. */
export const intervals = [
  { id: '1s', seconds: 1, timeframe: '1Sec', label: '1 second' },
  { id: '5s', seconds: 5, timeframe: '5Sec', label: '5 seconds' },
  { id: '1m', seconds: 60, timeframe: '1Min', label: '1 minute' },
  { id: '5m', seconds: 300, timeframe: '5Min', label: '5 minutes' },
  { id: '15m', seconds: 900, timeframe: '15Min', label: '15 minutes' },
  { id: '1h', seconds: 3600, timeframe: '1Hour', label: '1 hour' },
  { id: '1D', seconds: 86400, timeframe: '1Day', label: '1 day' },
] as const;

/** One of `intervals`. */
export type Interval = (typeof intervals)[number];

/** The short name of an interval, as in the URL. */
export type IntervalId = Interval['id'];

/**
 * The intervals to try when nobody chose one, the preferred first: minutes, or
 * for a market that has just begun something shorter.
 */
export const automatic: readonly [Interval, ...Interval[]] = [
  intervals[2],
  intervals[1],
  intervals[0],
];

/** The interval of days. */
export const day: Interval = intervals[6];

/** The interval of that short name, upper or lower case; null when there is none. */
export function intervalOf(id: string): Interval | null {
  return intervals.find((i) => i.id.toLowerCase() === id.toLowerCase()) ?? null;
}

/**
 * The open time of the bar that a moment falls into, in seconds since 1970.
 *
 * `anchor` is the open time of any bar of the same series. Bars of listed
 * stocks open at 09:30 or at midnight in New York, not on whole UTC hours or
 * days; the server knows the calendar, and its bars carry the answer along.
 */
export function bucketOf(seconds: number, interval: Interval, anchor: number): number {
  const phase = positiveModulo(anchor, interval.seconds);
  return Math.floor((seconds - phase) / interval.seconds) * interval.seconds + phase;
}

function positiveModulo(a: number, b: number): number {
  return ((a % b) + b) % b;
}
