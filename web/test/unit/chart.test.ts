import { describe, expect, it } from 'vitest';
import { layOut } from '../../src/chart/breaks.ts';
import { scale, Spark } from '../../src/chart/sparkline.ts';
import type { OffsetAt } from '../../src/chart/zone.ts';
import { TimeAxis } from '../../src/chart/zone.ts';
import type { Decimal } from '../../src/market/decimal.ts';
import type { Bar } from '../../src/market/types.ts';

const at = (text: string): number => Date.parse(text) / 1000;

/** New York: the clock goes back an hour on 2026-11-01 at 06:00 UTC. */
const newYork: OffsetAt = (s) => (s < at('2026-11-01T06:00:00Z') ? -240 : -300);

describe('TimeAxis', () => {
  const hours = [4, 5, 6, 7, 8].map((h) => at('2026-11-01T00:00:00Z') + h * 3600);

  it('rises strictly through the hour that repeats', () => {
    for (const stride of [1, 60, 300, 3600]) {
      const times: number[] = [];
      for (let t = at('2026-11-01T03:00:00Z'); t < at('2026-11-01T09:00:00Z'); t += stride) {
        times.push(t);
      }
      const shown = new TimeAxis(newYork).set(times);
      for (let i = 1; i < shown.length; i++) {
        expect((shown[i] ?? 0) > (shown[i - 1] ?? 0)).toBe(true);
      }
      // Once the repeated hour is over, and what was squeezed is passed, the clock is right again.
      expect(shown.at(-1)).toBe((times.at(-1) ?? 0) - 5 * 3600);
    }
  });

  it('knows the true time of all it shows', () => {
    const axis = new TimeAxis(newYork);
    const shown = axis.set(hours);
    expect(shown.map((s) => axis.trueTime(s))).toEqual(hours);
    expect(hours.map((h) => axis.shownAt(h))).toEqual(shown);
    expect(axis.shownAt(123)).toBeNull();
  });

  it('shifts by the offset of each bar', () => {
    const axis = new TimeAxis(newYork);
    const times = [at('2026-10-30T12:00:00Z'), at('2026-11-03T12:00:00Z')];
    expect(axis.set(times)).toEqual([at('2026-10-30T08:00:00Z'), at('2026-11-03T07:00:00Z')]);
  });

  it('guesses beyond its bars', () => {
    const axis = new TimeAxis(newYork);
    axis.set([at('2026-11-03T12:00:00Z')]);
    expect(axis.trueTime(at('2026-11-03T08:00:00Z'))).toBe(at('2026-11-03T13:00:00Z'));
    expect(new TimeAxis(newYork).trueTime(at('2026-11-03T07:00:00Z'))).toBe(
      at('2026-11-03T12:00:00Z'),
    );
  });
});

describe('layOut', () => {
  const bar = (t: number, gappy = false): Bar => {
    const p = '1' as Decimal;
    return { t, o: p, h: p, l: p, c: p, v: p, n: 1, gappy };
  };
  const bars = [bar(0), bar(60), bar(600), bar(660)];

  it('draws through a quiet time', () => {
    expect(layOut(bars, [], 60).map((p) => [p.t, p.cut])).toEqual([
      [0, false],
      [60, false],
      [600, false],
      [660, false],
    ]);
  });

  it('cuts at a hole and leaves room for it', () => {
    const places = layOut(bars, [{ from: 130, to: 590 }], 60);
    expect(places.map((p) => p.t)).toEqual([
      0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 660,
    ]);
    expect(places.filter((p) => p.bar !== null).map((p) => [p.t, p.cut])).toEqual([
      [0, false],
      [60, true],
      [600, false],
      [660, false],
    ]);
  });

  it('cuts between neighbours when the hole spans their border', () => {
    expect(layOut(bars, [{ from: 40, to: 80 }], 60).map((p) => p.cut)).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('does not cut for a hole inside one bar', () => {
    expect(layOut(bars, [{ from: 10, to: 40 }], 60).some((p) => p.cut)).toBe(false);
  });

  it('cuts between two marked bars when bars are missing between them', () => {
    const cuts = (...marked: Bar[]): boolean[] => layOut(marked, [], 60).map((p) => p.cut);
    expect(cuts(bar(0, true), bar(60, true), bar(120))).toEqual([false, false, false]);
    expect(cuts(bar(0), bar(120, true))).toEqual([false, false]);
    expect(cuts(bar(0, true), bar(120, true))).toEqual([true, true, false]);
  });

  it('does not cut after the newest bar, nor at a hole before the oldest', () => {
    expect(layOut(bars, [{ from: 700, to: 900 }], 60).some((p) => p.cut)).toBe(false);
    expect(layOut(bars, [{ from: -500, to: -100 }], 60).some((p) => p.cut)).toBe(false);
  });

  it('knows several holes in any order, and long ones without filling memory', () => {
    const far = [bar(0), bar(60), bar(86_400), bar(86_460), bar(90_000)];
    const holes = [
      { from: 86_520, to: 89_000 },
      { from: 120, to: 86_000 },
    ];
    const places = layOut(far, holes, 1);
    expect(places.filter((p) => p.bar !== null && p.cut).map((p) => p.t)).toEqual([60, 86_460]);
    expect(places.length).toBeLessThan(60);
    for (let i = 1; i < places.length; i++) {
      expect((places[i]?.t ?? 0) > (places[i - 1]?.t ?? 0)).toBe(true);
    }
  });
});

describe('sparkline', () => {
  const box = { x: 10, y: 5, width: 100, height: 20 };

  it('fills its box', () => {
    expect(scale([1, 3, 2], box)).toEqual([10, 25, 60, 5, 110, 15]);
  });

  it('draws a price that does not move as a line through the middle', () => {
    expect(scale([7, 7], box)).toEqual([10, 15, 110, 15]);
  });

  it('needs two points', () => {
    expect(scale([], box)).toEqual([]);
    expect(scale([1], box)).toEqual([]);
  });

  it('keeps one point a bucket, and the newest ones', () => {
    const spark = new Spark(3);
    spark.seed(60, [0, 60], [1, 2]);
    spark.push(90, 2.5);
    spark.push(125, 3);
    spark.push(30, 99);
    spark.push(130, NaN);
    expect(spark.points).toEqual([1, 2.5, 3]);
    spark.push(180, 4);
    expect(spark.points).toEqual([2.5, 3, 4]);
  });

  it('keeps what came while its history was on the way', () => {
    const spark = new Spark();
    spark.push(200, 9);
    spark.seed(60, [0, 60, 120], [1, 2, 3]);
    expect(spark.points).toEqual([1, 2, 3, 9]);
  });
});
