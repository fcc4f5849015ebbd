/** The recent course of a price, thinned to one point a bucket of time. */
export class Spark {
  private times: number[] = [];
  private values: number[] = [];
  /** Seconds a point stands for. */
  private bucket = 60;
  private readonly most: number;

  constructor(most = 90) {
    this.most = most;
  }

  get length(): number {
    return this.values.length;
  }

  get points(): readonly number[] {
    return this.values;
  }

  /** Begins anew from history, oldest first, one point a `bucket` of seconds. Later pushes are kept. */
  seed(bucket: number, times: readonly number[], values: readonly number[]): void {
    const [laterTimes, laterValues] = [this.times, this.values];
    this.bucket = bucket;
    this.times = [];
    this.values = [];
    times.forEach((t, i) => {
      this.push(t, values[i] ?? NaN);
    });
    const last = this.times.at(-1) ?? -Infinity;
    laterTimes.forEach((t, i) => {
      if (t >= last) this.push(t, laterValues[i] ?? NaN);
    });
  }

  /** Forgets the course. */
  clear(): void {
    this.times = [];
    this.values = [];
  }

  /** Adds a price at a time in seconds. Late ones and non-numbers are ignored. */
  push(seconds: number, value: number): void {
    if (!Number.isFinite(seconds) || !Number.isFinite(value)) return;
    const t = Math.floor(seconds / this.bucket) * this.bucket;
    const last = this.times.at(-1);
    if (last !== undefined && t < last) return;
    if (t === last) {
      this.values[this.values.length - 1] = value;
      return;
    }
    this.times.push(t);
    this.values.push(value);
    if (this.values.length > this.most) {
      this.times.shift();
      this.values.shift();
    }
  }
}

/** A box on a canvas, in CSS pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * The corners of a sparkline in a box, x and y by turns. Points are evenly
 * spaced; the range of the values fills the height; a course without movement
 * is a line through the middle. Fewer than two points give none.
 */
export function scale(values: readonly number[], box: Box): number[] {
  if (values.length < 2) return [];
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const range = high - low;
  const dx = box.width / (values.length - 1);
  const out: number[] = [];
  values.forEach((value, i) => {
    const up = range > 0 ? (value - low) / range : 0.5;
    out.push(box.x + i * dx, box.y + (1 - up) * box.height);
  });
  return out;
}

/** Draws one sparkline, with the level it began at as a faint line. */
export function draw(
  context: CanvasRenderingContext2D,
  values: readonly number[],
  box: Box,
  colour: string,
  base: string,
): void {
  const corners = scale(values, box);
  if (corners.length === 0) return;
  context.lineWidth = 1;
  context.strokeStyle = base;
  context.beginPath();
  const y = Math.round(corners[1] ?? 0) + 0.5;
  context.moveTo(box.x, y);
  context.lineTo(box.x + box.width, y);
  context.stroke();

  context.lineWidth = 1.25;
  context.lineJoin = 'round';
  context.strokeStyle = colour;
  context.beginPath();
  for (let i = 0; i < corners.length; i += 2) {
    context.lineTo(corners[i] ?? 0, corners[i + 1] ?? 0);
  }
  context.stroke();
}
