import { describe, expect, it } from 'vitest';
import {
  faster,
  fraction,
  skims,
  speedOf,
  speeds,
  speedText,
  timeAt,
} from '../../src/market/clock.ts';
import type { Decimal } from '../../src/market/decimal.ts';
import { fromMs, instant, moment, toMs, writeInstant } from '../../src/market/instant.ts';
import { intervals } from '../../src/market/interval.ts';
import type { Bar, Covered, Trade } from '../../src/market/types.ts';
import type { BarPage } from '../../src/net/answers.ts';
import { readCoverage, readReceipt } from '../../src/net/ledger.ts';
import { readExact } from '../../src/market/exact.ts';
import { readFrame, subscribe } from '../../src/net/wire.ts';
import { cuts, floorIn, layOut, logicalAt } from '../../src/chart/breaks.ts';
import { mostBars, Pages } from '../../src/state/pages.ts';
import { controls, wanted } from '../../src/state/played.ts';
import { Counter } from '../../src/state/tally.ts';
import { segmentsOf } from '../../src/ui/cover.ts';
import { ticksOf } from '../../src/ui/ticks.ts';

const bar = (t: number): Bar => {
  const p = '1' as Decimal;
  return { t, o: p, h: p, l: p, c: p, v: p, n: 1, gappy: false };
};

describe('speed', () => {
  it('is read as the protocol allows it', () => {
    expect(['0.1', '1', '10000', 'max'].map(speedOf)).toEqual([0.1, 1, 10_000, 'max']);
    expect(['', '0', '0.09', '10001', '-1', '1e2', 'Max'].map(speedOf)).toEqual(
      Array(7).fill(null),
    );
    for (const speed of speeds) expect(speedOf(String(speed))).toBe(speed);
  });

  it('goes up and down by the ones to choose from, and stays at the ends', () => {
    expect(faster(1, 1)).toBe(2);
    expect(faster(7, -1)).toBe(5);
    expect(faster(10_000, 1)).toBe('max');
    expect(faster('max', 1)).toBe('max');
    expect(faster('max', -1)).toBe(10_000);
    expect(faster(0.1, -1)).toBe(0.1);
  });

  it('is written for people', () => {
    expect([0.5, 10, 10_000, 'max' as const].map(speedText)).toEqual([
      '0.5×',
      '10×',
      '10,000×',
      'max',
    ]);
  });

  it('decides how the play is followed', () => {
    expect([1, 60, 300, 'max' as const].map(skims)).toEqual([false, false, true, true]);
  });
});

describe('moments', () => {
  it('keep their nanoseconds', () => {
    const at = instant('2026-11-23T14:30:00.000000001Z');
    expect(at && writeInstant(at)).toBe('2026-11-23T14:30:00.000000001Z');
    expect(writeInstant({ s: 0, ns: 500_000_000 })).toBe('1970-01-01T00:00:00.5Z');
  });

  it('come from milliseconds and go back', () => {
    for (const ms of [0, 1795435200123, 1795435200999.5, -1500]) {
      const at = fromMs(ms);
      expect(at.ns).toBeGreaterThanOrEqual(0);
      expect(at.ns).toBeLessThan(1e9);
      expect(toMs(at)).toBeCloseTo(ms, 3);
    }
  });

  it('may be a day', () => {
    expect(moment('2013-10-08')).toEqual({ s: 1381190400, ns: 0 });
  });
});

describe('the time line', () => {
  it('goes from place to time and back', () => {
    const span = { from: 1000, to: 2000 };
    expect(fraction(1500, span)).toBe(0.5);
    expect(fraction(0, span)).toBe(0);
    expect(fraction(9000, span)).toBe(1);
    expect(timeAt(0.25, span)).toBe(1250);
    expect(timeAt(-1, span)).toBe(1000);
    expect(timeAt(2, span)).toBe(2000);
    expect(fraction(5, { from: 5, to: 5 })).toBe(1);
  });

  it('has a few marks at full times', () => {
    const from = 1795428000; // 10:00 UTC
    const hour = ticksOf({ from: from + 90, to: from + 3600 }, 8, () => 0);
    expect(hour.map((t) => (t.t - from) / 60)).toEqual([15, 30, 45, 60]);
    const days = ticksOf({ from, to: from + 5 * 86_400 }, 8, () => 0);
    expect(days.every((t) => t.t % 86_400 === 0)).toBe(true);
    // Midnight where the reader is.
    const local = ticksOf({ from, to: from + 5 * 86_400 }, 8, () => -300);
    expect(local.every((t) => (t.t - 5 * 3600) % 86_400 === 0)).toBe(true);
    for (const long of [1, 59, 4000, 1e6, 1e8, 1e9]) {
      const ticks = ticksOf({ from, to: from + long }, 8, () => 0);
      expect(ticks.length, String(long)).toBeLessThanOrEqual(8);
    }
    expect(ticksOf({ from, to: from }, 8, () => 0)).toEqual([]);
  });
});

describe('a stream of the past', () => {
  it('reads the clock', () => {
    const [message] = readFrame(
      '[{"T":"clock","t":"2026-11-23T10:00:00.5Z","speed":0.5,"live":false,"playing":true}]',
    );
    expect(message).toEqual({
      type: 'clock',
      clock: {
        time: { s: 1795428000, ns: 500_000_000 },
        speed: 0.5,
        live: false,
        playing: true,
        ended: false,
      },
    });
    const [end] = readFrame(
      '[{"T":"clock","t":"2026-11-23T10:00:00Z","speed":"max","live":false,"playing":false,"ended":true}]',
    );
    expect(end).toMatchObject({ clock: { speed: 'max', playing: false, ended: true } });
    expect(() => readFrame('[{"T":"clock","speed":1}]')).toThrow('t: want');
  });

  const from = { s: 1, ns: 0 };

  it('asks for every trade, and for a few when it goes too fast for that', () => {
    expect(wanted('X:A', null)).toMatchObject({ mode: 'every', played: false });
    const slow = wanted('X:A', { from, speed: 10, playing: true });
    expect(JSON.parse(subscribe(slow, null))).toEqual({
      action: 'subscribe',
      trades: ['X:A'],
      quotes: [],
      bars: [],
      mode: 'every',
    });
    const fast = wanted('X:A', { from, speed: 'max', playing: true });
    expect(fast).toMatchObject({ mode: 'latest', every: '250ms', played: true });
  });

  it('is told what it does not do yet', () => {
    const pace = { action: 'speed', speed: 5 };
    expect(controls({ from, speed: 5, playing: true }, true)).toEqual([pace]);
    expect(controls({ from, speed: 5, playing: true }, false)).toEqual([
      pace,
      { action: 'resume' },
    ]);
    expect(controls({ from, speed: 5, playing: false }, true)).toEqual([{ action: 'pause' }, pace]);
    expect(controls({ from, speed: 5, playing: false }, false)).toEqual([pace]);
  });
});

describe('Counter', () => {
  const trade = (seq: number): Trade => ({ seq, received: null }) as Trade;

  it('drops what the past tells twice, and asks for no order', () => {
    const counter = new Counter();
    counter.knows([trade(7)]);
    const told = [8, 3, 7, 8, 9].map((seq) => counter.replayed(trade(seq)));
    expect(told).toEqual(['follows', 'follows', 'double', 'double', 'follows']);
    expect(counter.tally(null)).toMatchObject({ applied: 3, doubles: 2, holes: 0, delay: null });
  });

  it('remembers enough, and not without end', () => {
    const counter = new Counter();
    for (let seq = 1; seq <= 200_000; seq++) counter.replayed(trade(seq));
    expect(counter.replayed(trade(190_000))).toBe('double');
    expect(counter.replayed(trade(1))).toBe('follows');
    counter.reset();
    expect(counter.replayed(trade(190_000))).toBe('follows');
  });
});

/** A history of so many seconds, one bar each, that answers as the server does. */
class Source {
  asked = 0;
  private readonly end: number;

  constructor(end: number) {
    this.end = end;
  }

  page(from: number, to: number, more: boolean): { value: BarPage; cursor: null } {
    this.asked++;
    const bars: Bar[] = [];
    for (let t = from; t < to; t++) bars.push(bar(t));
    return { value: { bars: bars.reverse(), more }, cursor: null };
  }

  bars = (_: string, __: unknown, limit: number, before: number | null) => {
    const to = before ?? this.end;
    const from = Math.max(0, to - limit);
    return Promise.resolve(this.page(from, to, from > 0));
  };

  barsAfter = (_: string, __: unknown, limit: number, after: number) => {
    const to = Math.min(this.end, after + 1 + limit);
    return Promise.resolve(this.page(after + 1, to, to < this.end));
  };
}

describe('Pages', () => {
  const end = 200_000;
  const open = (source: Source): Pages => {
    const { value } = source.page(end - 600, end, true);
    return new Pages(source, 'X:A', intervals[0], value, new AbortController().signal);
  };
  const whole = (pages: Pages): boolean =>
    pages.bars.every((b, i) => i === 0 || b.t === (pages.bars[i - 1]?.t ?? 0) + 1);

  it('go back to the beginning and return, holding a bounded part without a hole', async () => {
    const pages = open(new Source(end));
    let turns = 0;
    while (pages.more) {
      expect(await pages.older(300, null)).toBe('bars');
      expect(pages.bars.length).toBeLessThanOrEqual(mostBars);
      turns++;
    }
    expect(turns).toBe(200);
    expect(pages.bars[0]?.t).toBe(0);
    expect(pages.cut).toBe(true);
    expect(whole(pages)).toBe(true);
    let paged = '';
    while (paged !== 'end') {
      paged = await pages.newer(300, null);
      expect(pages.bars.length).toBeLessThanOrEqual(mostBars);
    }
    expect(pages.bars.at(-1)?.t).toBe(end - 1);
    expect(pages.more).toBe(true);
    expect(whole(pages)).toBe(true);
  });

  it('fetch as much as the screen shows', async () => {
    const pages = open(new Source(end));
    await pages.older(3000, null);
    expect(pages.bars.length).toBe(3600);
    await pages.older(1e9, null);
    expect(pages.bars.length).toBe(8600);
  });

  it('fetch one page at a time, and none when there is nothing', async () => {
    const source = new Source(end);
    const pages = open(source);
    await Promise.all([pages.older(1, null), pages.older(1, null), pages.newer(1, null)]);
    expect(source.asked).toBe(2);
    const short = new Pages(
      source,
      'X:A',
      intervals[0],
      { bars: [bar(1)], more: false },
      new AbortController().signal,
    );
    expect(await short.older(1, null)).toBe('nothing');
  });

  it('take newer bars up, but draw no line across what they do not know', () => {
    const source = new Source(end);
    const pages = open(source);
    const near = source.page(end - 2, end + 5, true).value;
    expect(pages.catchUp(near)).toBe(pages);
    expect(pages.bars.at(-1)?.t).toBe(end + 4);
    expect(whole(pages)).toBe(true);
    const far = source.page(end + 1000, end + 1600, true).value;
    const fresh = pages.catchUp(far);
    expect(fresh).not.toBe(pages);
    expect(fresh.bars[0]?.t).toBe(end + 1000);
  });
});

describe('the axis', () => {
  const places = layOut([bar(0), bar(60), bar(300)], [{ from: 100, to: 290 }], 60);

  it('finds places by time', () => {
    expect(places.map((p) => p.t)).toEqual([0, 60, 120, 180, 240, 300]);
    expect(floorIn(places, -1)).toBe(-1);
    expect(floorIn(places, 130)).toBe(2);
    expect(floorIn(places, 1e9)).toBe(5);
    expect(cuts(places)).toEqual([[60, 300]]);
  });

  it('says where a time lies', () => {
    expect(logicalAt(places, 0, 60)).toBe(-0.5);
    expect(logicalAt(places, 30, 60)).toBe(0);
    expect(logicalAt(places, 330, 60)).toBe(5);
    expect(logicalAt(places, 9999, 60)).toBe(5.5);
    expect(logicalAt(places, -99, 60)).toBe(-0.5);
    expect(logicalAt([], 0, 60)).toBeNull();
    // Between two bars without a place of its own: on their border.
    const apart = layOut([bar(0), bar(600)], [], 60);
    expect(logicalAt(apart, 300, 60)).toBe(0.5);
  });
});

describe('coverage', () => {
  const spans: Covered[] = [
    { from: 0, to: 10, state: 'live' },
    { from: 10, to: 20, state: 'live' },
    { from: 20, to: 21, state: 'quiet' },
    { from: 21, to: 21.01, state: 'blind' },
    { from: 21.01, to: 40, state: 'imported' },
  ];

  it('is read', () => {
    const text =
      '{"symbol":"X:A","spans":[{"from":"2026-11-23T10:00:00Z","to":"2026-11-23T10:00:01.5Z","state":"live"},' +
      '{"from":"2026-11-23T10:00:01.5Z","to":"2026-11-23T10:01:00Z","state":"odd"}]}';
    expect(readCoverage(readExact(text))).toEqual([
      { from: 1795428000, to: 1795428001.5, state: 'live' },
      { from: 1795428001.5, to: 1795428060, state: 'blind' },
    ]);
    expect(() => readCoverage(readExact('{"spans":[{}]}'))).toThrow('from: want');
  });

  it('is laid out in pixels: neighbours as one, blind spots always', () => {
    const segments = segmentsOf(spans, 200, (t) => t * 10 - 50);
    expect(segments.map((s) => [s.state, s.left, s.width])).toEqual([
      ['live', 0, 150],
      ['quiet', 150, 10],
      ['blind', 160, 3],
      ['imported', 160.10000000000002, 39.89999999999998],
    ]);
    expect(segments[0]).toMatchObject({ from: 0, to: 20 });
    expect(segmentsOf(spans, 200, () => null)).toEqual([]);
    expect(segmentsOf(spans, 200, (t) => t + 500)).toEqual([]);
  });
});

describe('readReceipt', () => {
  const trade = '{"i":1,"p":187.420,"s":5,"t":"2026-11-23T10:00:00.1Z","seq":41}';

  it('reads all of it', () => {
    const text =
      `{"bar":{"t":"2026-11-23T10:00:00Z","o":187.42,"h":188,"l":187,"c":187.5,"v":12,"n":3},"open":${trade},` +
      `"high":${trade},"low":${trade},"close":${trade},"final":true,"imported":false,` +
      `"volume":{"trades":3,"v":12,"first":41,"last":43,"list":[${trade}],"next_page_token":null},` +
      `"leftOut":{"count":9,"reasons":{"odd lot":9},"list":[{"trade":${trade},"of":["open","close"],"why":"odd lot"}]},` +
      `"late":{"count":2,"revisions":[{"seq":43,"t":"2026-11-23T10:00:59Z","r":"2026-11-23T10:01:05Z","p":188,"s":2,` +
      `"h":[null,188],"v":[10,12]}]},"matches":true,` +
      `"coverage":[{"from":"2026-11-23T10:00:00Z","to":"2026-11-23T10:01:00Z","state":"live"}]}`;
    const receipt = readReceipt(readExact(text), 'X:A');
    expect(receipt).toMatchObject({
      bar: { o: '187.42', n: 3 },
      open: { price: '187.420', seq: 41, symbol: 'X:A' },
      count: 3,
      first: 41,
      last: 43,
      leftOut: [{ of: ['open', 'close'], why: 'odd lot' }],
      leftOutCount: 9,
      revisions: [
        {
          seq: 43,
          price: '188',
          changes: [
            { what: 'high', before: null, after: '188' },
            { what: 'volume', before: '10', after: '12' },
          ],
        },
      ],
      lateCount: 2,
      matches: true,
      coverage: [{ state: 'live' }],
    });
  });

  it('shows what there is of a receipt that lacks parts', () => {
    expect(readReceipt(readExact('{}'), 'X:A')).toEqual({
      bar: null,
      final: true,
      imported: false,
      open: null,
      high: null,
      low: null,
      close: null,
      count: null,
      first: null,
      last: null,
      leftOut: [],
      leftOutCount: 0,
      revisions: [],
      lateCount: 0,
      matches: null,
      coverage: [],
    });
    const odd =
      '{"bar":{"t":"soon"},"open":7,"leftOut":null,"late":{"revisions":{}},"matches":"yes"}';
    expect(readReceipt(readExact(odd), 'X:A')).toMatchObject({ bar: null, open: null });
    expect(() => readReceipt(readExact('[]'), 'X:A')).toThrow('want an object');
  });
});
