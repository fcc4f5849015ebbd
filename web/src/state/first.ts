import type { Instant } from '../market/instant.ts';
import type { Interval } from '../market/interval.ts';
import { automatic } from '../market/interval.ts';
import type { Bar } from '../market/types.ts';
import type { BarPage } from '../net/answers.ts';
import type { AsOf, Rest } from '../net/rest.ts';

/** Bars that a chart opens with. */
const page = 600;

/** With this many bars a chart is full enough to look no further for a shorter interval. */
const enough = 60;

/** A shorter interval must bring this many times the bars, else it only thins them out. */
const worthIt = 1.5;

/** A market that began less than this many seconds ago is shown by the shortest interval. */
const young = 600;

/** The bars that a chart opens with, and of which interval they are. */
export interface First {
  readonly interval: Interval;
  readonly answer: AsOf<BarPage>;
}

/** The newest bars of the wanted interval, as of a moment or the present; with null, of the one that suits how much history there is. */
export async function firstBars(
  rest: Rest,
  symbol: string,
  wanted: Interval | null,
  at: Instant | null,
  signal: AbortSignal,
): Promise<First> {
  const [first, ...shorter] = wanted === null ? automatic : [wanted];
  let best = { interval: first, answer: await rest.bars(symbol, first, page, null, at, signal) };
  const settled = age(best.answer.value.bars) >= young;
  for (const interval of shorter) {
    const { bars } = best.answer.value;
    if (bars.length >= enough) break;
    const answer = await rest.bars(symbol, interval, page, null, at, signal);
    if (settled && answer.value.bars.length < bars.length * worthIt) break;
    best = { interval, answer };
  }
  return best;
}

/** Seconds from the oldest to the newest bar. */
function age(bars: readonly Bar[]): number {
  const times = bars.map((bar) => bar.t);
  return Math.max(...times, 0) - Math.min(...times, Infinity);
}
