import { describe, expect, it } from 'vitest';
import type { Decimal } from '../../src/market/decimal.ts';
import type { Interval } from '../../src/market/interval.ts';
import type { Bar, Trade } from '../../src/market/types.ts';
import type { Rest } from '../../src/net/rest.ts';
import { firstBars } from '../../src/state/first.ts';
import { Counter } from '../../src/state/tally.ts';

const trade = (seq: number, received = 0): Trade => ({
  symbol: 'SIM:A',
  price: '1' as Decimal,
  size: '1' as Decimal,
  time: { s: seq, ns: 0 },
  seq,
  taker: '',
  received: { s: received, ns: 0 },
});

describe('Counter', () => {
  it('tells what follows from what is double and what is missing', () => {
    const counter = new Counter();
    expect([7, 8, 8, 7, 9, 11].map((seq) => counter.count(trade(seq)))).toEqual([
      'follows',
      'follows',
      'double',
      'double',
      'follows',
      'hole',
    ]);
    expect(counter.tally(0)).toMatchObject({
      firstSeq: 7,
      lastSeq: 9,
      applied: 3,
      doubles: 2,
      holes: 1,
    });
  });

  it('begins anew after history, wherever that is, and remembers what went wrong', () => {
    const counter = new Counter();
    for (const seq of [1, 3]) counter.count(trade(seq));
    counter.restart();
    expect(counter.count(trade(50))).toBe('follows');
    expect(counter.tally(0)).toMatchObject({ firstSeq: 50, lastSeq: 50, applied: 1, holes: 1 });
  });

  it('gives the median delay of what was drawn', () => {
    const counter = new Counter();
    expect(counter.tally(0).delay).toBeNull();
    for (const [seq, now] of [
      [1, 10],
      [2, 900],
      [3, 30],
    ] as const) {
      counter.count(trade(seq, 0));
      counter.tally(now);
    }
    expect(counter.tally(5000).delay).toBe(30);
  });
});

describe('firstBars', () => {
  const with_ = (counts: Readonly<Record<string, number>>): Rest =>
    ({
      bars: (_: string, interval: Interval) =>
        Promise.resolve({
          value: {
            bars: Array.from(
              { length: counts[interval.id] ?? 0 },
              (_, i) => ({ t: i * interval.seconds }) as Bar,
            ),
          },
          cursor: interval.id,
        }),
    }) as unknown as Rest;

  const choose = async (counts: Readonly<Record<string, number>>): Promise<string> => {
    const { interval, answer } = await firstBars(
      with_(counts),
      'SIM:A',
      null,
      null,
      new AbortController().signal,
    );
    expect(answer.cursor).toBe(interval.id);
    return interval.id;
  };

  it('chooses by how much history there is', async () => {
    expect(await choose({ '1m': 300 })).toBe('1m');
    expect(await choose({ '1m': 8, '5s': 90 })).toBe('5s');
    expect(await choose({ '1m': 15, '5s': 50, '1s': 55 })).toBe('5s');
    // A market that has just begun.
    expect(await choose({ '1m': 1, '5s': 1, '1s': 1 })).toBe('1s');
    expect(await choose({ '1m': 1, '5s': 4, '1s': 18 })).toBe('1s');
    // A quiet market has no more bars in shorter intervals; they would only stand thinner.
    expect(await choose({ '1m': 30, '5s': 33, '1s': 34 })).toBe('1m');
    expect(await choose({})).toBe('1s');
  });
});
