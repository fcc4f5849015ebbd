import type { IntervalId } from '../market/interval.ts';
import { intervalOf } from '../market/interval.ts';

/** What the main area shows. */
export type View = 'candles' | 'line' | 'live';

/** What the address of the page says. Null where it says nothing. */
export interface Route {
  readonly symbol: string | null;
  readonly interval: IntervalId | null;
  readonly view: View | null;
}

const views: readonly View[] = ['candles', 'line', 'live'];

/** Reads `#symbol=SIM:AAPL&interval=1m&view=line`. What it does not understand it leaves out. */
export function readRoute(hash: string): Route {
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  const symbol = params.get('symbol')?.trim().toUpperCase() ?? '';
  return {
    symbol: symbol === '' || symbol.length > 64 ? null : symbol,
    interval: intervalOf(params.get('interval') ?? '')?.id ?? null,
    view: views.find((v) => v === params.get('view')) ?? null,
  };
}

/** Writes the address; the colon of a symbol stays readable. */
export function writeRoute(route: Route): string {
  const parts: string[] = [];
  if (route.symbol !== null) {
    parts.push(`symbol=${encodeURIComponent(route.symbol).replaceAll('%3A', ':')}`);
  }
  if (route.interval !== null) parts.push(`interval=${route.interval}`);
  if (route.view !== null) parts.push(`view=${route.view}`);
  return `#${parts.join('&')}`;
}
