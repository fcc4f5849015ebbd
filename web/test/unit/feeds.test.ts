import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readExact } from '../../src/market/exact.ts';
import type { FeedList } from '../../src/market/types.ts';
import { readFeeds } from '../../src/net/feeds.ts';
import { FeedBoard } from '../../src/state/feeds.svelte.ts';
import {
  clockWord,
  duration,
  outcome,
  rateWord,
  reasonWord,
  stateWord,
  well,
} from '../../src/ui/feeds.ts';

describe('readFeeds', () => {
  const fixture = new URL('../../../testdata/wire/rest-feeds.json', import.meta.url);

  it.skipIf(!existsSync(fixture))('reads all that the server says', () => {
    const { feeds, sent } = readFeeds(readExact(readFileSync(fixture, 'utf8')));
    expect(sent).toEqual({
      count: 1,
      p50: 0.000112,
      p99: 0.000112,
      buckets: [{ to: 0.000128, n: 1 }],
    });
    const [sim, coinbase] = feeds;
    expect(sim).toMatchObject({ state: 'live', age: 0.25, taped: null, carried: ['SIM:MSFT'] });
    expect(coinbase).toMatchObject({
      url: 'coinbase://BTC-USD,DOGE-XYZ?key=***',
      age: null,
      clockOffset: -0.04,
      reconnects: 3,
      received: { count: 12, p50: 0.04, p99: 0.25 },
      gapsFilled: 1,
      gapsUnfilled: 1,
      backfilled: 7,
      dropped: [
        { reason: 'buffer_full', n: 5 },
        { reason: 'unusable', n: 1 },
      ],
      refused: [{ symbol: 'COINBASE:DOGE-XYZ', reason: 'no such product' }],
    });
    expect(coinbase?.gaps.map((gap) => [gap.symbol, outcome(gap)])).toEqual([
      ['*', 'Not filled'],
      ['COINBASE:BTC-USD', 'Filled, 7 ticks fetched'],
    ]);
    expect(well(feeds)).toBe(1);
  });

  it('is content with an older server', () => {
    const { feeds, sent } = readFeeds(readExact('{"feeds":[{"name":"sim","state":"live"}]}'));
    expect(sent).toBeNull();
    expect(feeds[0]).toMatchObject({ name: 'sim', carried: [], gaps: [], dropped: [], age: null });
    for (const text of ['[]', '{"feeds":[{}]}', '{"feeds":[{"name":"x","delays":3}]}']) {
      expect(() => readFeeds(readExact(text))).toThrow();
    }
  });
});

describe('words', () => {
  it('say durations in three digits or so', () => {
    expect([0, 0.000112, 0.0042, 0.12, 1.23, 90].map(duration)).toEqual([
      '0.00 ms',
      '0.11 ms',
      '4.2 ms',
      '120 ms',
      '1.2 s',
      '1m',
    ]);
  });

  it('say the rest', () => {
    expect(clockWord(0.0002)).toBe('same as ours');
    expect(clockWord(-0.04)).toBe('40 ms behind ours');
    expect(clockWord(2)).toBe('2.0 s ahead of ours');
    expect(reasonWord('buffer_full')).toBe('buffer full');
    expect([0, 2.25, 1234.5].map(rateWord)).toEqual(['0.0', '2.3', '1,235']);
    expect(['live', 'stale', 'brand-new'].map(stateWord)).toEqual(['Live', 'Silent', 'brand-new']);
    const gap = { symbol: '*', from: null, to: null, reason: '', filled: false, ticks: 1 };
    expect(outcome(gap)).toBe('Not filled, 1 tick fetched');
    expect(outcome({ ...gap, filled: true, ticks: 0 })).toBe('Filled');
  });
});

describe('FeedBoard', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  const list: FeedList = { feeds: [], sent: null };

  it('asks from start to stop, and keeps what it knew', async () => {
    const answers: (FeedList | Error)[] = [new Error('503'), list, new Error('gone'), list];
    let asked = 0;
    const board = new FeedBoard({
      feeds: () => {
        const answer = answers[asked++];
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer ?? list);
      },
    });
    board.start();
    board.start();
    await vi.advanceTimersByTimeAsync(0);
    expect([board.phase, board.problem]).toEqual(['failed', '503']);
    await vi.advanceTimersByTimeAsync(2000);
    expect([board.phase, board.problem]).toEqual(['ready', '']);
    await vi.advanceTimersByTimeAsync(2000);
    expect([board.phase, board.problem]).toEqual(['ready', 'gone']);
    await vi.advanceTimersByTimeAsync(2000);
    expect([board.phase, board.problem]).toEqual(['ready', '']);
    board.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toBe(4);
    board.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toBe(5);
    board.stop();
  });
});
