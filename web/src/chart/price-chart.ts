import type {
  CandlestickData,
  HistogramData,
  IChartApi,
  ISeriesApi,
  LineData,
  Logical,
  MouseEventParams,
  SeriesType,
  Time,
  UTCTimestamp,
  WhitespaceData,
} from 'lightweight-charts';
import {
  AreaSeries,
  CandlestickSeries,
  ColorType,
  createChart,
  CrosshairMode,
  HistogramSeries,
  LineStyle,
} from 'lightweight-charts';
import { toNumber } from '../market/decimal.ts';
import { countdown, step } from '../market/format.ts';
import type { Bar } from '../market/types.ts';
import type { Place, Span } from './breaks.ts';
import { cuts, findIn, floorIn, layOut, logicalAt } from './breaks.ts';
import type { HatchSpan } from './hatch.ts';
import { Hatch } from './hatch.ts';
import { TimeLabels } from './labels.ts';
import type { PriceChartOptions } from './options.ts';
import type { Palette } from './palette.ts';
import type { Style } from './points.ts';
import { pricePoint, volumePoint } from './points.ts';
import type { Zone } from './zone.ts';
import { localOffset, TimeAxis, utcOffset } from './zone.ts';

/** The width of a bar when a chart opens, in pixels. */
const firstSpacing = 8;

/** Bars that fill a chart of a market that has just begun. */
const fewBars = 60;

/** Bars before an edge of what is loaded at which more are asked for. */
const nearEdge = 20;

/** Room for bars to come, in bars. */
const rightRoom = 6;

/**
 * The price chart: candles or a line, volume below, holes hatched. It is told
 * bars and draws them; it knows nothing of where they come from.
 */
export class PriceChart {
  private readonly chart: IChartApi;
  private readonly hatch = new Hatch();
  private readonly volume: ISeriesApi<'Histogram'>;
  private prices: ISeriesApi<'Candlestick'> | ISeriesApi<'Area'>;
  private options: PriceChartOptions;
  private axis = new TimeAxis(utcOffset);
  private labels: TimeLabels;
  private places: Place[] = [];
  private holes: readonly Span[] = [];
  private interval = 60;
  private decimals = 2;
  /** The bar under the mouse, and the one that the keys point at. */
  private hover: number | null = null;
  private pointed: number | null = null;

  constructor(host: HTMLElement, options: PriceChartOptions) {
    this.options = options;
    this.labels = new TimeLabels(options.zone);
    this.chart = createChart(host, {
      autoSize: true,
      layout: {
        fontSize: 11,
        attributionLogo: true,
        fontFamily: getComputedStyle(host).fontFamily,
      },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: {
        borderVisible: false,
        scaleMargins: { top: 0.12, bottom: 0.22 },
        minimumWidth: 72,
      },
      timeScale: {
        borderVisible: false,
        timeVisible: true,
        secondsVisible: true,
        rightOffset: rightRoom,
        minBarSpacing: 0.25,
        // The library's own thinning looks up colours by places that a change of pages has moved, and throws.
        // The screen shows some thousand bars at most, which it draws without.
        enableConflation: false,
        lockVisibleTimeRangeOnResize: true,
        tickMarkFormatter: (time: Time, kind: number) =>
          this.labels.tick(this.axis.trueTime(Number(time)), kind),
      },
      localization: {
        priceFormatter: (value: number) => this.options.price(value),
        timeFormatter: (time: Time) =>
          this.labels.full(this.axis.trueTime(Number(time)), this.interval),
      },
    });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: 'volume',
      priceFormat: { type: 'volume' },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.chart.priceScale('volume').applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.prices = this.addPrices();
    this.applyPalette();
    this.chart.subscribeCrosshairMove(this.hovered);
    this.chart.subscribeClick((event) => {
      const at = event.time === undefined ? null : this.axis.trueTime(Number(event.time));
      if (at !== null) this.pick(at);
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range === null || this.places.length === 0) return;
      const { onEdge, onView } = this.options;
      const shown = range.to - range.from;
      if (range.from < nearEdge) onEdge('older', shown);
      if (range.to > this.places.length - nearEdge) onEdge('newer', shown);
      onView();
    });
  }

  /** Shows other bars, from the newest back; with `keep` as wide as before. */
  open(
    bars: readonly Bar[],
    holes: readonly Span[],
    interval: number,
    decimals: number,
    keep: boolean,
  ): void {
    const range = keep ? this.chart.timeScale().getVisibleLogicalRange() : null;
    this.interval = interval;
    this.decimals = decimals;
    this.prices.applyOptions({ priceFormat: this.priceFormat() });
    this.replace(bars, holes);
    this.pointed = null;
    if (range === null) this.home();
    else this.end(range.to - range.from);
    this.options.onView();
  }

  /** Shows changed bars of the same series; the view stays where it is. */
  replace(bars: readonly Bar[], holes: readonly Span[]): void {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    const before = this.places;
    this.holes = holes;
    this.places = layOut(bars, holes, this.interval);
    this.axis = new TimeAxis(this.options.zone === 'utc' ? utcOffset : localOffset);
    this.axis.set(this.places.map((p) => p.t));
    this.prices.setData(this.places.map((p) => this.pricePoint(p)) as never);
    this.volume.setData(this.places.map((p) => this.volumePoint(p)));
    this.hatch.set(this.hatchSpans(), this.options.palette.hatch);
    const grown = (this.places.at(-1)?.t ?? 0) > (before.at(-1)?.t ?? 0);
    // At the newest bar the view goes along with those that come.
    if (range === null || (grown && range.to > before.length - 1)) return;
    // Bars put in front or let go of would push the view along; keep what the reader looks at.
    const kept = Math.max(0, Math.min(before.length - 1, Math.round(range.from)));
    const now = findIn(this.places, before[kept]?.t ?? NaN);
    if (now === null || (now === kept && before.length === this.places.length)) return;
    scale.setVisibleLogicalRange({ from: range.from + now - kept, to: range.to + now - kept });
  }

  /** Draws the newest bars again; all others are as they were. */
  update(newest: readonly Bar[]): void {
    for (const bar of newest) {
      const last = this.places.at(-1);
      if (last !== undefined && bar.t < last.t) continue;
      const place: Place = { t: bar.t, bar, cut: false };
      if (last?.t === bar.t) this.places[this.places.length - 1] = place;
      else {
        this.places.push(place);
        this.axis.append(bar.t);
        this.goAlong();
      }
      this.prices.update(this.pricePoint(place) as never);
      this.volume.update(this.volumePoint(place));
    }
  }

  /** Draws candles or a line. */
  setStyle(style: Style): void {
    if (style === this.options.style) return;
    this.options = { ...this.options, style };
    this.prices.detachPrimitive(this.hatch);
    this.chart.removeSeries(this.prices);
    this.prices = this.addPrices();
    this.applyPalette();
    this.prices.setData(this.places.map((p) => this.pricePoint(p)) as never);
  }

  setPalette(palette: Palette): void {
    this.options = { ...this.options, palette };
    this.applyPalette();
    this.volume.setData(this.places.map((p) => this.volumePoint(p)));
    this.prices.setData(this.places.map((p) => this.pricePoint(p)) as never);
    this.hatch.set(this.hatchSpans(), palette.hatch);
  }

  setZone(zone: Zone): void {
    this.options = { ...this.options, zone };
    this.labels = new TimeLabels(zone);
    this.replace(
      this.places.flatMap((p) => (p.bar === null ? [] : [p.bar])),
      this.holes,
    );
  }

  /** The time left in the newest bar, beside its price; null for none. */
  setCountdown(seconds: number | null): void {
    this.prices.applyOptions({ title: seconds === null ? '' : countdown(seconds) });
  }

  /** The stretch of time in view that there are bars of, in UTC seconds; null when there is none. */
  visible(): Span | null {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (range === null) return null;
    const first = this.places[Math.max(0, Math.ceil(range.from))];
    const last = this.places[Math.min(this.places.length - 1, Math.floor(range.to))];
    if (first === undefined || last === undefined || last.t < first.t) return null;
    return { from: first.t, to: last.t + this.interval };
  }

  /**
   * Where a time lies, in pixels from the left edge. The axis has room for bars only:
   * a time between two of them without a place of its own lies on their border.
   */
  xOf(seconds: number): number | null {
    const at = logicalAt(this.places, seconds, this.interval);
    if (at === null) return null;
    // The library knows the places of whole bars only.
    const scale = this.chart.timeScale();
    const whole = Math.floor(at);
    const left = scale.logicalToCoordinate(whole as Logical);
    return left === null ? null : left + (at - whole) * scale.options().barSpacing;
  }

  /** The width of the part that bars are drawn in, in pixels. */
  get width(): number {
    return this.chart.timeScale().width();
  }

  /** Moves the crosshair by bars, from the newest one in view when it is not there yet. */
  point(by: number): void {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (range === null) return;
    const { length } = this.places;
    const edge = Math.min(length - 1, Math.floor(range.to));
    const now = this.pointed === null ? edge + 1 : floorIn(this.places, this.pointed);
    let next = Math.min(length - 1, Math.max(0, now + by));
    // Over a hole to the next bar.
    while (this.places[next]?.bar === null && next > 0 && next < length - 1) next += Math.sign(by);
    const place = this.places[next];
    if (!place?.bar) return;
    this.pointed = place.t;
    if (next < range.from + 1 || next > range.to - 1) this.scroll(next < range.from + 1 ? -10 : 10);
    this.chart.setCrosshairPosition(toNumber(place.bar.c), this.time(place.t), this.prices);
    this.options.onHover(place.t);
  }

  /** Chooses the bar under the crosshair, else the newest one. */
  pickPointed(): void {
    const newest = this.places.findLast((place) => place.bar !== null)?.t;
    const at = this.hover ?? this.pointed ?? newest;
    if (at !== undefined) this.pick(at);
  }

  /** Back to the newest bars at the usual width, with the price scale fitted again. */
  home(): void {
    this.chart.priceScale('right').applyOptions({ autoScale: true });
    const scale = this.chart.timeScale();
    const room = Math.max(30, Math.floor(scale.width() / firstSpacing));
    const end = this.places.length - 1 + rightRoom;
    // A market that has just begun grows from the left edge until the chart is full.
    const full = end >= room;
    scale.applyOptions({ shiftVisibleRangeOnNewBar: full });
    const most = Math.min(room, Math.max(fewBars, Math.ceil(end * 1.5)));
    scale.setVisibleLogicalRange(full ? { from: end - room, to: end } : { from: -1, to: most - 1 });
  }

  /** From where the bars reach the right edge, the view goes along with them. */
  private goAlong(): void {
    const scale = this.chart.timeScale();
    if (scale.options().shiftVisibleRangeOnNewBar) return;
    const range = scale.getVisibleLogicalRange();
    if (range !== null && this.places.length - 1 + rightRoom < range.to) return;
    scale.applyOptions({ shiftVisibleRangeOnNewBar: true });
  }

  /** Moves the view by bars; negative is into the past. */
  scroll(bars: number): void {
    const scale = this.chart.timeScale();
    scale.scrollToPosition(scale.scrollPosition() + bars, false);
  }

  destroy(): void {
    this.chart.remove();
  }

  private readonly hovered = (event: MouseEventParams): void => {
    const at = event.time;
    // Without a source it was moved by the keys, which say where themselves.
    if (event.sourceEvent === undefined && at !== undefined) return;
    this.hover = at === undefined ? null : this.axis.trueTime(Number(at));
    if (event.sourceEvent !== undefined) this.pointed = null;
    this.options.onHover(this.hover);
  };

  private pick(t: number): void {
    const place = this.places[findIn(this.places, t) ?? -1];
    if (place?.bar) this.options.onPick(place.t);
  }

  /** Shows so many bars, the newest at the right. */
  private end(width: number): void {
    const end = this.places.length - 1 + rightRoom;
    const scale = this.chart.timeScale();
    const full = end >= width;
    scale.applyOptions({ shiftVisibleRangeOnNewBar: full });
    scale.setVisibleLogicalRange(
      full ? { from: end - width, to: end } : { from: -1, to: width - 1 },
    );
  }

  private addPrices(): ISeriesApi<'Candlestick'> | ISeriesApi<'Area'> {
    const common = { priceFormat: this.priceFormat(), priceLineStyle: LineStyle.Dotted };
    const series =
      this.options.style === 'candles'
        ? this.chart.addSeries(CandlestickSeries, common)
        : this.chart.addSeries(AreaSeries, { ...common, lineWidth: 2 });
    series.attachPrimitive(this.hatch);
    return series;
  }

  private priceFormat(): { type: 'price'; precision: number; minMove: number } {
    return { type: 'price', precision: this.decimals, minMove: step(this.decimals) };
  }

  private applyPalette(): void {
    const p = this.options.palette;
    this.chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: p.background }, textColor: p.dim },
      grid: { vertLines: { color: p.grid }, horzLines: { color: p.grid } },
      crosshair: {
        vertLine: { color: p.crosshair, labelBackgroundColor: p.label },
        horzLine: { color: p.crosshair, labelBackgroundColor: p.label },
      },
    });
    const series: ISeriesApi<SeriesType> = this.prices;
    series.applyOptions(
      this.options.style === 'candles'
        ? {
            upColor: p.up,
            downColor: p.down,
            wickUpColor: p.up,
            wickDownColor: p.down,
            borderVisible: false,
          }
        : {
            lineColor: p.line,
            topColor: p.areaTop,
            bottomColor: p.areaBottom,
            priceLineColor: p.line,
          },
    );
  }

  private time(t: number): UTCTimestamp {
    return (this.axis.shownAt(t) ?? t) as UTCTimestamp;
  }

  private pricePoint(place: Place): CandlestickData | LineData | WhitespaceData {
    return pricePoint(place, this.time(place.t), this.options.style);
  }

  private volumePoint(place: Place): HistogramData | WhitespaceData {
    return volumePoint(place, this.time(place.t), this.options.palette);
  }

  private hatchSpans(): HatchSpan[] {
    return cuts(this.places).map(([from, to]) => ({ from: this.time(from), to: this.time(to) }));
  }
}
