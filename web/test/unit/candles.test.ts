import { describe, expect, it } from 'vitest';
import { Candles, credible } from '../../src/market/candles.ts';
import type { Decimal } from '../../src/market/decimal.ts';
import { instant } from '../../src/market/instant.ts';
import type { Interval, IntervalId } from '../../src/market/interval.ts';
import { bucketOf, intervalOf } from '../../src/market/interval.ts';
import type { Bar, Trade } from '../../src/market/types.ts';

const of = (id: IntervalId): Interval => {
  const interval = intervalOf(id);
  if (interval === null) throw new Error(id);
  return interval;
};

let seq = 0;
function trade(time: string, price: string, size = '1'): Trade {
  const at = instant(time);
  if (at === null) throw new Error(time);
  return {
    symbol: 'SIM:A',
    price: price as Decimal,
    size: size as Decimal,
    time: at,
    seq: ++seq,
    taker: '',
    received: null,
  };
}

function bar(time: string, o: string, h: string, l: string, c: string, v: string, n: number): Bar {
  const t = Date.parse(time) / 1000;
  return {
    t,
    o: o as Decimal,
    h: h as Decimal,
    l: l as Decimal,
    c: c as Decimal,
    v: v as Decimal,
    n,
    gappy: false,
  };
}

/** A bar without what only the folding knows. */
const plain = ({ t, o, h, l, c, v, n, gappy }: Bar): Bar => ({ t, o, h, l, c, v, n, gappy });

describe('folding', () => {
  it('goes on with the forming bar that history brought', () => {
    const candles = new Candles(of('1m'), [
      bar('2026-11-23T10:01:00Z', '10.00', '10.20', '9.90', '10.10', '7', 3),
      bar('2026-11-23T10:00:00Z', '9.00', '9.00', '9.00', '9.00', '1', 1),
    ]);
    expect(candles.apply(trade('2026-11-23T10:01:59.999999999Z', '10.30', '0.5'))).toBe('updated');
    expect(candles.all.map(plain)).toEqual([
      bar('2026-11-23T10:00:00Z', '9.00', '9.00', '9.00', '9.00', '1', 1),
      bar('2026-11-23T10:01:00Z', '10.00', '10.30', '9.90', '10.30', '7.5', 4),
    ]);
  });

  it('opens the next bar exactly on its time, and none for a quiet interval', () => {
    const candles = new Candles(of('1m'), []);
    candles.apply(trade('2026-11-23T10:00:59.999Z', '1'));
    expect(candles.apply(trade('2026-11-23T10:01:00Z', '2'))).toBe('appended');
    expect(candles.apply(trade('2026-11-23T10:07:30Z', '3'))).toBe('appended');
    expect(candles.all.map((b) => new Date(b.t * 1000).toISOString().slice(11, 16))).toEqual([
      '10:00',
      '10:01',
      '10:07',
    ]);
  });

  it('puts a late trade into the bar of its own time', () => {
    const candles = new Candles(of('1m'), []);
    candles.apply(trade('2026-11-23T10:00:10Z', '10'));
    candles.apply(trade('2026-11-23T10:00:50Z', '11'));
    candles.apply(trade('2026-11-23T10:01:10Z', '12'));
    expect(candles.apply(trade('2026-11-23T10:00:30Z', '99', '5'))).toBe('revised');
    expect(plain(candles.all[0] as Bar)).toEqual(
      bar('2026-11-23T10:00:00Z', '10', '99', '10', '11', '7', 3),
    );
    expect(candles.newest?.c).toBe('12');
  });

  it('takes open and close by the times of the trades, not by their order', () => {
    const candles = new Candles(of('1m'), []);
    candles.apply(trade('2026-11-23T10:00:20Z', '10'));
    candles.apply(trade('2026-11-23T10:00:40Z', '11'));
    candles.apply(trade('2026-11-23T10:00:30Z', '12'));
    candles.apply(trade('2026-11-23T10:00:10Z', '9'));
    expect(candles.apply(trade('2026-11-23T10:00:40Z', '13'))).toBe('updated');
    expect(plain(candles.newest as Bar)).toEqual(
      bar('2026-11-23T10:00:00Z', '9', '13', '9', '13', '5', 5),
    );
  });

  it('makes a bar for a late trade that has none', () => {
    const candles = new Candles(of('1s'), []);
    candles.apply(trade('2026-11-23T10:00:01Z', '1'));
    candles.apply(trade('2026-11-23T10:00:03Z', '3'));
    expect(candles.apply(trade('2026-11-23T10:00:02Z', '2'))).toBe('revised');
    expect(candles.all.map((b) => b.c)).toEqual(['1', '2', '3']);
  });

  it('sums sizes exactly', () => {
    const candles = new Candles(of('1m'), []);
    for (let i = 0; i < 10; i++) candles.apply(trade('2026-11-23T10:00:10Z', '1', '0.1'));
    expect(candles.newest?.v).toBe('1.0');
  });

  it('gives the same bars however the trades are cut between history and stream', () => {
    const times = Array.from({ length: 60 }, (_, i) =>
      new Date(Date.UTC(2026, 10, 23, 10) + i * 7_300).toISOString(),
    );
    const prices = times.map((_, i) => (100 + ((i * 37) % 23) / 100).toFixed(2));
    const trades = times.map((t, i) => trade(t, prices[i] as string, '2'));
    const whole = new Candles(of('1m'), []);
    for (const t of trades) whole.apply(t);
    for (let cut = 0; cut <= trades.length; cut += 7) {
      const before = new Candles(of('1m'), []);
      for (const t of trades.slice(0, cut)) before.apply(t);
      const after = new Candles(of('1m'), before.all.map(plain));
      for (const t of trades.slice(cut)) after.apply(t);
      expect(after.all.map(plain)).toEqual(whole.all.map(plain));
    }
  });
});

describe('credible', () => {
  it('refuses times that the market has not reached', () => {
    const at = (received: string): Trade => ({
      ...trade('2026-11-23T10:00:30Z', '1'),
      received: instant(received),
    });
    expect(credible(at('2026-11-23T10:00:30Z'), false)).toBe(true);
    expect(credible(at('2026-11-23T10:00:20Z'), false)).toBe(true);
    expect(credible(at('2026-11-23T10:00:19Z'), false)).toBe(false);
    expect(credible(at('2030-01-01T00:00:00Z'), false)).toBe(true);
    expect(credible(trade('2026-11-23T10:00:30Z', '1'), false)).toBe(true);
    expect(credible(at('2026-11-23T10:00:19Z'), true)).toBe(true);
  });
});

describe('history', () => {
  it('is sorted and freed of doubles', () => {
    const one = bar('2026-11-23T10:00:00Z', '1', '1', '1', '1', '1', 1);
    const two = bar('2026-11-23T10:01:00Z', '2', '2', '2', '2', '1', 1);
    expect(new Candles(of('1m'), [two, one, two]).all).toEqual([one, two]);
  });

  it('prepends older bars and leaves the living ones alone', () => {
    const candles = new Candles(of('1m'), []);
    candles.apply(trade('2026-11-23T10:05:10Z', '5'));
    const added = candles.prepend([
      bar('2026-11-23T10:05:00Z', '0', '0', '0', '0', '0', 0),
      bar('2026-11-23T10:04:00Z', '4', '4', '4', '4', '1', 1),
    ]);
    expect(added).toBe(1);
    expect(candles.all.map((b) => b.c)).toEqual(['4', '5']);
  });

  it('settles closed bars by the word of the server, not the forming one', () => {
    const candles = new Candles(of('1m'), []);
    candles.apply(trade('2026-11-23T10:00:10Z', '1'));
    candles.apply(trade('2026-11-23T10:03:10Z', '3'));
    const official = [
      bar('2026-11-23T10:03:00Z', '7', '7', '7', '7', '7', 7),
      bar('2026-11-23T10:01:00Z', '2', '2', '2', '2', '2', 2),
      bar('2026-11-23T10:00:00Z', '1', '1.5', '1', '1', '2', 2),
      bar('2026-11-23T09:00:00Z', '8', '8', '8', '8', '8', 8),
    ];
    expect(candles.settle(official)).toBe(true);
    expect(candles.all.map((b) => [b.h, b.n])).toEqual([
      ['1.5', 2],
      ['2', 2],
      ['3', 1],
    ]);
    expect(candles.settle(official)).toBe(false);
  });
});

describe('bucketOf', () => {
  it('aligns to UTC when nothing says otherwise', () => {
    const t = Date.parse('2026-11-23T10:47:33Z') / 1000;
    const at = (id: IntervalId, anchor = 0): string =>
      new Date(bucketOf(t, of(id), anchor) * 1000).toISOString();
    expect(at('1s')).toBe('2026-11-23T10:47:33.000Z');
    expect(at('5m')).toBe('2026-11-23T10:45:00.000Z');
    expect(at('1h')).toBe('2026-11-23T10:00:00.000Z');
    expect(at('1D')).toBe('2026-11-23T00:00:00.000Z');
  });

  it('follows the phase of the bars that are there', () => {
    const t = Date.parse('2026-11-23T16:10:00Z') / 1000;
    const session = Date.parse('2026-11-23T14:30:00Z') / 1000;
    expect(new Date(bucketOf(t, of('1h'), session) * 1000).toISOString()).toBe(
      '2026-11-23T15:30:00.000Z',
    );
    const newYork = Date.parse('2026-11-20T05:00:00Z') / 1000;
    expect(new Date(bucketOf(t, of('1D'), newYork) * 1000).toISOString()).toBe(
      '2026-11-23T05:00:00.000Z',
    );
  });

  it('knows times before 1970', () => {
    expect(bucketOf(-1, of('1m'), 0)).toBe(-60);
  });
});
