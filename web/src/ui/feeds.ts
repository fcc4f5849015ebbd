import { age } from '../market/format.ts';
import type { FeedGap, FeedInfo } from '../market/types.ts';

const states: Readonly<Record<string, string>> = {
  live: 'Live',
  connecting: 'Connecting',
  stale: 'Silent',
  down: 'Down',
  done: 'Done',
};

/** A word for the state of a feed; one of a newer server is shown as it came. */
export function stateWord(state: string): string {
  return states[state] ?? state;
}

/** A duration in three digits or so: `0.11 ms`, `4.2 ms`, `120 ms`, `1.2 s`, `3m`. */
export function duration(seconds: number): string {
  const ms = seconds * 1000;
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : age(ms);
}

/** What became of a gap. */
export function outcome({ filled, ticks }: FeedGap): string {
  const fetched = ticks === 0 ? '' : `${count(ticks)} ${ticks === 1 ? 'tick' : 'ticks'} fetched`;
  if (filled) return fetched === '' ? 'Filled' : `Filled, ${fetched}`;
  return fetched === '' ? 'Not filled' : `Not filled, ${fetched}`;
}

/** The clock of a venue against the server's. */
export function clockWord(offset: number): string {
  if (Math.abs(offset) < 0.001) return 'same as ours';
  return `${duration(Math.abs(offset))} ${offset > 0 ? 'ahead of' : 'behind'} ours`;
}

/** A reason such as `buffer_full` in words. */
export function reasonWord(reason: string): string {
  return reason.replaceAll('_', ' ');
}

export function count(n: number): string {
  return n.toLocaleString();
}

/** Ticks a second. */
export function rateWord(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : count(Math.round(rate));
}

/** How many of the feeds do what they should; those that have come to their end do. */
export function well(feeds: readonly FeedInfo[]): number {
  return feeds.filter(({ state }) => state === 'live' || state === 'done').length;
}
