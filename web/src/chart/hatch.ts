import type {
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesPrimitive,
  PrimitivePaneViewZOrder,
  SeriesAttachedParameter,
  Time,
} from 'lightweight-charts';

/** A stretch of the shown time axis, between the bars on either side of a hole. */
export interface HatchSpan {
  readonly from: Time;
  readonly to: Time;
}

/** Hatches the holes of a chart, behind the bars, over the whole height of the pane. */
export class Hatch implements ISeriesPrimitive<Time> {
  private attachedTo: SeriesAttachedParameter<Time> | null = null;
  private spans: readonly HatchSpan[] = [];
  private colour = 'transparent';
  private readonly view: IPrimitivePaneView = {
    zOrder: (): PrimitivePaneViewZOrder => 'bottom',
    renderer: (): IPrimitivePaneRenderer => ({
      draw: (target) => {
        target.useMediaCoordinateSpace(({ context, mediaSize }) => {
          for (const [left, right] of this.edges()) {
            hatch(context, left, right, mediaSize.height, this.colour);
          }
        });
      },
    }),
  };

  attached(param: SeriesAttachedParameter<Time>): void {
    this.attachedTo = param;
  }

  detached(): void {
    this.attachedTo = null;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return [this.view];
  }

  set(spans: readonly HatchSpan[], colour: string): void {
    this.spans = spans;
    this.colour = colour;
    this.attachedTo?.requestUpdate();
  }

  private edges(): [number, number][] {
    const scale = this.attachedTo?.chart.timeScale();
    if (scale === undefined) return [];
    const half = scale.options().barSpacing / 2;
    const out: [number, number][] = [];
    for (const span of this.spans) {
      const left = scale.timeToCoordinate(span.from);
      const right = scale.timeToCoordinate(span.to);
      if (left !== null && right !== null)
        out.push([left + half, Math.max(right - half, left + half + 2)]);
    }
    return out;
  }
}

function hatch(
  context: CanvasRenderingContext2D,
  left: number,
  right: number,
  height: number,
  colour: string,
): void {
  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = left - height; x < right; x += 8) {
    context.moveTo(x, height);
    context.lineTo(x + height, 0);
  }
  context.stroke();
  context.restore();
}
