import { Spark } from '../chart/sparkline.ts';
import type { Decimal } from '../market/decimal.ts';
import { compare, sign, significantPlaces, subtract, toNumber } from '../market/decimal.ts';
import type { NumberStyle } from '../market/format.ts';
import { age, move, percent, price, signed } from '../market/format.ts';
import type { Instant } from '../market/instant.ts';
import { compareInstants, toMs } from '../market/instant.ts';
import type { FlowState, SymbolInfo } from '../market/types.ts';

/**
 * A venue that writes more decimals than this pads its prices with zeros; then the
 * decimals are learned from the prices.
 */
const mostDecimals = 5;

/**
 * A symbol of the watch list. Ticks change the plain fields, as often as they
 * come; `draw` carries the sum over to the fields that the screen follows, at
 * most once a frame.
 */
export class Row {
  readonly symbol: string;
  readonly name: string;
  readonly venue: string;
  readonly spark = new Spark();
  /** Whether the course for the sparkline was asked for. */
  sparkAsked = false;

  last = $state('–');
  change = $state('–');
  percent = $state('–');
  spread = $state('–');
  direction = $state<-1 | 0 | 1>(0);
  state = $state<FlowState>('unknown');
  age = $state('');
  /** What kind of market it is, when that must be said: `SIM`, `REPLAY`. */
  label = $state('');
  /** Rises with each drawn change of price; its sign says which way the price went. */
  flash = $state(0);

  private info: SymbolInfo;
  private lastPrice: Decimal | null = null;
  private lastTime: Instant | null = null;
  private bid: Decimal | null = null;
  private ask: Decimal | null = null;
  private drawnPrice: Decimal | null = null;
  private flow: FlowState;
  private decimalsSeen = 0;
  private padded = false;

  constructor(info: SymbolInfo) {
    this.info = info;
    this.symbol = info.symbol;
    this.name = info.name;
    this.venue = info.venue;
    this.flow = info.state;
    this.learn(info);
  }

  get price(): Decimal | null {
    return this.lastPrice;
  }

  /** What changes are measured from: yesterday's close, else today's open. */
  get base(): Decimal | null {
    return this.info.previousClose ?? this.info.dayOpen;
  }

  get decimals(): number {
    return this.padded ? Math.max(2, this.decimalsSeen) : this.decimalsSeen;
  }

  get feed(): string {
    return this.info.feed;
  }

  get calendar(): string {
    return this.info.calendar;
  }

  /** Takes what REST says, unless the stream already said something newer. */
  learn(info: SymbolInfo): void {
    this.info = info;
    this.flow = info.state;
    this.padded = info.decimals > mostDecimals;
    if (!this.padded) this.decimalsSeen = Math.max(this.decimalsSeen, info.decimals);
    if (info.last !== null) this.trade(info.last.price, info.last.time);
    if (info.quote !== null && this.bid === null) this.quote(info.quote.bid, info.quote.ask);
  }

  /** Forgets what it knew, for another moment; what REST says of that comes next. */
  forget(): void {
    this.lastPrice = null;
    this.lastTime = null;
    this.bid = null;
    this.ask = null;
    this.drawnPrice = null;
    this.flow = 'unknown';
    this.spark.clear();
    this.sparkAsked = false;
  }

  /** Takes what REST says of a later moment of the past, where no stream tells anything in between. */
  follow(info: SymbolInfo): void {
    this.bid = null;
    this.learn(info);
  }

  trade(p: Decimal, time: Instant): void {
    if (this.lastTime !== null && compareInstants(time, this.lastTime) < 0) return;
    this.lastPrice = p;
    this.lastTime = time;
    if (this.padded) this.decimalsSeen = Math.max(this.decimalsSeen, significantPlaces(p));
    this.spark.push(time.s, toNumber(p));
  }

  quote(bid: Decimal, ask: Decimal): void {
    this.bid = bid;
    this.ask = ask;
  }

  flowing(state: FlowState): void {
    this.flow = state;
  }

  /** Carries the sum of changes to the screen. */
  draw(style: NumberStyle, now: number): void {
    const p = this.lastPrice;
    const m = move(p, this.base);
    this.last = price(p, this.decimals, style);
    this.change = signed(m?.difference ?? null, this.decimals, style);
    this.percent = percent(m?.percent ?? null, style);
    this.direction = m?.sign ?? 0;
    this.spread = this.spreadText(style);
    if (p !== null && this.drawnPrice !== null) {
      const way = compare(p, this.drawnPrice);
      if (way !== 0) this.flash = (Math.abs(this.flash) + 1) * Math.sign(way);
    }
    this.drawnPrice = p;
    this.grow(now);
  }

  /** Carries state and age over; called once a second even when nothing came. */
  grow(now: number): void {
    this.state = this.flow;
    const quiet = this.flow !== 'live' && this.lastTime !== null;
    this.age = quiet && this.lastTime !== null ? age(now - toMs(this.lastTime)) : '';
  }

  private spreadText(style: NumberStyle): string {
    if (this.bid === null || this.ask === null) return '–';
    const spread = subtract(this.ask, this.bid);
    // A crossed book is shown as it is, with its minus.
    return sign(spread) === 0 ? price(spread, 0, style) : price(spread, this.decimals, style);
  }
}
