import type {
  CandlestickData,
  HistogramData,
  LineData,
  UTCTimestamp,
  WhitespaceData,
} from 'lightweight-charts';
import { toNumber } from '../market/decimal.ts';
import type { Place } from './breaks.ts';
import type { Palette } from './palette.ts';

/** How prices are drawn. */
export type Style = 'candles' | 'line';

/** A place of the time axis as the chart library draws prices. */
export function pricePoint(
  { bar, cut }: Place,
  time: UTCTimestamp,
  style: Style,
): CandlestickData | LineData | WhitespaceData {
  if (bar === null) return { time };
  if (style === 'line') {
    const value = toNumber(bar.c);
    // The library draws a piece of line in the colours of the point it starts from.
    const hidden = {
      lineColor: 'transparent',
      topColor: 'transparent',
      bottomColor: 'transparent',
    };
    return cut ? { time, value, ...hidden } : { time, value };
  }
  return {
    time,
    open: toNumber(bar.o),
    high: toNumber(bar.h),
    low: toNumber(bar.l),
    close: toNumber(bar.c),
  };
}

/** A place of the time axis as the chart library draws volume, coloured by the way the price went. */
export function volumePoint(
  { bar }: Place,
  time: UTCTimestamp,
  { upVolume, downVolume }: Palette,
): HistogramData | WhitespaceData {
  if (bar === null) return { time };
  const up = toNumber(bar.c) >= toNumber(bar.o);
  return { time, value: toNumber(bar.v), color: up ? upVolume : downVolume };
}
