import type { Interval } from '../market/interval.ts';
import { automatic } from '../market/interval.ts';
import type { BarPage } from '../net/answers.ts';
import type { AsOf, Rest } from '../net/rest.ts';

/** Bars that a chart opens with. */
const page = 600;

/** With this many bars a chart is full enough to look no further for a shorter interval. */
const enough = 60;

/** A shorter interval must bring this many times the bars, else it only thins them out. */
const worthIt = 1.5;

/** The bars that a chart opens with, and of which interval they are. */
export interface First {
  readonly interval: Interval;
  readonly answer: AsOf<BarPage>;
}

/** The newest bars of the wanted interval; with null, of the one that suits how much history there is. */
export async function firstBars(
  rest: Rest,
  symbol: string,
  wanted: Interval | null,
  signal: AbortSignal,
): Promise<First> {
  const [first, ...shorter] = wanted === null ? automatic : [wanted];
  let best = { interval: first, answer: await rest.bars(symbol, first, page, null, signal) };
  for (const interval of shorter) {
    const had = best.answer.value.bars.length;
    if (had >= enough) break;
    const answer = await rest.bars(symbol, interval, page, null, signal);
    if (answer.value.bars.length < had * worthIt) break;
    best = { interval, answer };
  }
  return best;
}
