import type {
  CandlestickData,
  HistogramData,
  IChartApi,
  ISeriesApi,
  LineData,
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
import { layOut } from './breaks.ts';
import type { HatchSpan } from './hatch.ts';
import { Hatch } from './hatch.ts';
import { TimeLabels } from './labels.ts';
import type { Palette } from './palette.ts';
import type { Zone } from './zone.ts';
import { localOffset, TimeAxis, utcOffset } from './zone.ts';

/** How prices are drawn. */
export type Style = 'candles' | 'line';

export interface PriceChartOptions {
  readonly palette: Palette;
  readonly zone: Zone;
  readonly style: Style;
  /** Writes a price for the axis. */
  readonly price: (value: number) => string;
  /** The bar under the crosshair, by its open time in UTC seconds; null when it left. */
  readonly onHover: (t: number | null) => void;
  /** The reader scrolled near the oldest bar. */
  readonly onOldest: () => void;
}

/** The width of a bar when a chart opens, in pixels. */
const firstSpacing = 8;

/** Bars that fill a chart of a market that has just begun. */
const fewBars = 60;

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
        enableConflation: true,
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
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < 20 && this.places.length > 0) this.options.onOldest();
    });
  }

  /** Shows other bars, from the newest back. */
  open(bars: readonly Bar[], holes: readonly Span[], interval: number, decimals: number): void {
    this.interval = interval;
    this.decimals = decimals;
    this.prices.applyOptions({ priceFormat: this.priceFormat() });
    this.replace(bars, holes);
    this.home();
  }

  /** Shows changed bars of the same series; the view stays where it is. */
  replace(bars: readonly Bar[], holes: readonly Span[]): void {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    const before = this.places.length;
    const newestBefore = this.places.at(-1)?.t;
    this.holes = holes;
    this.places = layOut(bars, holes, this.interval);
    this.axis = new TimeAxis(this.options.zone === 'utc' ? utcOffset : localOffset);
    this.axis.set(this.places.map((p) => p.t));
    this.prices.setData(this.places.map((p) => this.pricePoint(p)) as never);
    this.volume.setData(this.places.map((p) => this.volumePoint(p)));
    this.hatch.set(this.hatchSpans(), this.options.palette.hatch);
    // Bars put in front, or dropped there, would push the view along; keep what the reader looks at.
    const added = this.places.length - before;
    if (range !== null && before > 0 && added !== 0 && newestBefore === this.places.at(-1)?.t) {
      scale.setVisibleLogicalRange({ from: range.from + added, to: range.to + added });
    }
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
    this.options.onHover(at === undefined ? null : this.axis.trueTime(Number(at)));
  };

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
    const time = this.time(place.t);
    const { bar } = place;
    if (bar === null) return { time };
    if (this.options.style === 'line') {
      const value = toNumber(bar.c);
      // The library draws a piece of line in the colours of the point it starts from.
      const hidden = {
        lineColor: 'transparent',
        topColor: 'transparent',
        bottomColor: 'transparent',
      };
      return place.cut ? { time, value, ...hidden } : { time, value };
    }
    return {
      time,
      open: toNumber(bar.o),
      high: toNumber(bar.h),
      low: toNumber(bar.l),
      close: toNumber(bar.c),
    };
  }

  private volumePoint(place: Place): HistogramData | WhitespaceData {
    const time = this.time(place.t);
    if (place.bar === null) return { time };
    const up = toNumber(place.bar.c) >= toNumber(place.bar.o);
    const { upVolume, downVolume } = this.options.palette;
    return { time, value: toNumber(place.bar.v), color: up ? upVolume : downVolume };
  }

  private hatchSpans(): HatchSpan[] {
    const out: HatchSpan[] = [];
    this.places.forEach((place, i) => {
      if (place.bar === null || !place.cut) return;
      const next = this.places.findIndex((p, k) => k > i && p.bar !== null);
      const after = this.places[next];
      if (after !== undefined) out.push({ from: this.time(place.t), to: this.time(after.t) });
    });
    return out;
  }
}
