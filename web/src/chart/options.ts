import type { Palette } from './palette.ts';
import type { Style } from './points.ts';
import type { Zone } from './zone.ts';

/** How a price chart looks at first, and whom it tells of what. */
export interface PriceChartOptions {
  readonly palette: Palette;
  readonly zone: Zone;
  readonly style: Style;
  /** Writes a price for the axis. */
  readonly price: (value: number) => string;
  /** The bar under the crosshair, by its open time in UTC seconds; null when it left. */
  readonly onHover: (t: number | null) => void;
  /** The reader scrolled near the oldest or the newest bar; `shown` is how many bars fit the screen. */
  readonly onEdge: (edge: 'older' | 'newer', shown: number) => void;
  /** The reader chose the bar that opened at that time in UTC seconds. */
  readonly onPick: (t: number) => void;
  /** Other bars came into view. */
  readonly onView: () => void;
}
