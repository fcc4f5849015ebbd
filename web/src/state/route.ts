import type { Speed } from '../market/clock.ts';
import { speedOf } from '../market/clock.ts';
import type { Instant } from '../market/instant.ts';
import { moment, writeInstant } from '../market/instant.ts';
import type { IntervalId } from '../market/interval.ts';
import { intervalOf } from '../market/interval.ts';

/** What the main area shows. */
export type View = 'candles' | 'line' | 'live';

/** What fills the screen in place of the chart. */
export type Page = 'feeds' | 'alerts';

/** What the address of the page says. Null where it says nothing. */
export interface Route {
  /** Null for the chart. */
  readonly page: Page | null;
  readonly symbol: string | null;
  readonly interval: IntervalId | null;
  readonly view: View | null;
  /** The moment that the screen shows; null for the present. */
  readonly at: Instant | null;
  /** How fast it plays on from there; null when it stands still. */
  readonly speed: Speed | null;
}

/** The address that says nothing: the present, and whatever was looked at last. */
export const nowhere: Route = {
  page: null,
  symbol: null,
  interval: null,
  view: null,
  at: null,
  speed: null,
};

const pages: readonly Page[] = ['feeds', 'alerts'];
const views: readonly View[] = ['candles', 'line', 'live'];

/** Reads `#symbol=SIM:AAPL&interval=1m&view=line&at=2026-11-23T14:30:00Z&speed=10`. `page=feeds` is the page of feeds, `page=alerts` that of alerts. What it does not understand it leaves out. A query says the same. */
export function readRoute(hash: string): Route {
  const params = new URLSearchParams(hash.replace(/^[#?]/, ''));
  const symbol = params.get('symbol')?.trim().toUpperCase() ?? '';
  // An epoch or a time; a plus that was not escaped arrives as a space.
  const at = moment((params.get('at') ?? '').replace(' ', '+'));
  return {
    page: pages.find((p) => p === params.get('page')) ?? null,
    symbol: symbol === '' || symbol.length > 64 ? null : symbol,
    interval: intervalOf(params.get('interval') ?? '')?.id ?? null,
    view: views.find((v) => v === params.get('view')) ?? null,
    at,
    speed: at === null ? null : speedOf(params.get('speed') ?? ''),
  };
}

/** Writes the address; the colon of a symbol stays readable. */
export function writeRoute(route: Route): string {
  const parts: string[] = [];
  if (route.page !== null) parts.push(`page=${route.page}`);
  if (route.symbol !== null) {
    parts.push(`symbol=${encodeURIComponent(route.symbol).replaceAll('%3A', ':')}`);
  }
  if (route.interval !== null) parts.push(`interval=${route.interval}`);
  if (route.view !== null) parts.push(`view=${route.view}`);
  if (route.at !== null) {
    parts.push(`at=${writeInstant(route.at)}`);
    if (route.speed !== null) parts.push(`speed=${String(route.speed)}`);
  }
  return `#${parts.join('&')}`;
}
