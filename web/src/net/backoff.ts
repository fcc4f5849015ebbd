/** How long to wait before trying again. */
export interface Backoff {
  /** The bound of the first wait, in milliseconds. */
  readonly first: number;
  /** The bound that later waits do not exceed, in milliseconds. */
  readonly most: number;
}

/** Fast enough that a restart is hardly seen, slow enough for a thousand tabs. */
export const usual: Backoff = { first: 400, most: 10_000 };

/**
 * The wait before retry number `attempt` (0, 1, 2 …): anything from a little up
 * to a bound that doubles. Full jitter, so that the pages that one restart cut
 * off do not all come back in the same millisecond.
 *
 * `random` gives a number from 0 up to 1.
 */
export function wait(attempt: number, backoff: Backoff, random: () => number): number {
  const bound = Math.min(backoff.most, backoff.first * 2 ** Math.min(attempt, 30));
  return Math.round(50 + random() * Math.max(0, bound - 50));
}
