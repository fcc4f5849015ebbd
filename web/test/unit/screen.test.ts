import { describe, expect, it } from 'vitest';
import { serverAt } from '../../src/net/urls.ts';
import { nowhere, readRoute, writeRoute } from '../../src/state/route.ts';
import { fit, rank } from '../../src/ui/fuzzy.ts';
import { commandOf } from '../../src/ui/keys.ts';

describe('addresses', () => {
  it('follow the page behind a prefix', () => {
    const server = serverAt('http://host:8000/some/prefix/');
    expect(server.rest('v1/symbols')).toBe('http://host:8000/some/prefix/v1/symbols');
    expect(server.socket('v2/tape')).toBe('ws://host:8000/some/prefix/v2/tape');
    expect(server.rest(`v2/stocks/${encodeURIComponent('X:BTC/USD')}/bars`, { limit: 5 })).toBe(
      'http://host:8000/some/prefix/v2/stocks/X%3ABTC%2FUSD/bars?limit=5',
    );
  });

  it('are secure when the page is', () => {
    expect(serverAt('https://host/').socket('ws/prices', { symbol: 'SIM:A' })).toBe(
      'wss://host/ws/prices?symbol=SIM%3AA',
    );
  });
});

describe('route', () => {
  it('goes there and back', () => {
    const route = {
      page: null,
      symbol: 'SIM:AAPL',
      interval: '5m',
      view: 'line',
      at: null,
      speed: null,
    } as const;
    expect(writeRoute(route)).toBe('#symbol=SIM:AAPL&interval=5m&view=line');
    expect(readRoute(writeRoute(route))).toEqual(route);
    expect(readRoute('?symbol=SIM:AAPL&interval=5m&view=line')).toEqual(route);
    const feeds = { ...nowhere, page: 'feeds', symbol: 'SIM:AAPL' } as const;
    expect(writeRoute(feeds)).toBe('#page=feeds&symbol=SIM:AAPL');
    expect(readRoute('#page=feeds&symbol=SIM:AAPL')).toEqual(feeds);
    expect(readRoute('#page=alerts')).toEqual({ ...nowhere, page: 'alerts' });
    const odd = { ...nowhere, symbol: 'X:BTC/USD&=' };
    expect(readRoute(writeRoute(odd))).toEqual(odd);
  });

  it('leaves out what it does not understand', () => {
    expect(readRoute('')).toEqual(nowhere);
    expect(
      readRoute(`#symbol=${'x'.repeat(100)}&interval=7m&view=pie&page=two&at=soon&speed=5`),
    ).toEqual(nowhere);
    expect(readRoute('#symbol=sim:aapl&interval=1d')).toMatchObject({
      symbol: 'SIM:AAPL',
      interval: '1D',
    });
  });
});

describe('the moment in the address', () => {
  const noon = { s: 1795435200, ns: 0 };

  it('goes there and back, to the nanosecond', () => {
    const route = { ...nowhere, symbol: 'SIM:A', at: { s: 1795435200, ns: 123456789 }, speed: 10 };
    const address = '#symbol=SIM:A&at=2026-11-23T12:00:00.123456789Z&speed=10';
    expect(writeRoute(route)).toBe(address);
    expect(readRoute(address)).toEqual(route);
    expect(writeRoute({ ...nowhere, at: noon, speed: 'max' })).toBe(
      '#at=2026-11-23T12:00:00Z&speed=max',
    );
  });

  it.each([
    ['2026-11-23T13:00:00%2B01:00'],
    ['2026-11-23T13:00:00+01:00'],
    ['1795435200'],
    ['1795435200000'],
    ['1795435200000000'],
    ['1795435200000000000'],
  ])('may be written as %s', (at) => {
    expect(readRoute(`#at=${at}`)).toMatchObject({ at: noon, speed: null });
  });

  it('is left out when it is none, and a speed with it', () => {
    for (const at of [
      '',
      'noon',
      '2026-02-30',
      '-5',
      '99999999999999999999',
      '2026-11-23T25:00:00Z',
    ]) {
      expect(readRoute(`#at=${at}&speed=10`), at).toMatchObject({ at: null, speed: null });
    }
    for (const speed of ['0', '-1', '0.05', '10001', 'fast', '1e3', 'NaN']) {
      expect(readRoute(`#at=1795435200&speed=${speed}`), speed).toMatchObject({
        at: noon,
        speed: null,
      });
    }
  });
});

describe('search', () => {
  it('finds by letters in order, best first', () => {
    const names = ['SIM:AMZN', 'SIM:AAPL', 'COINBASE:BTC-USD', 'SIM:PLTR'];
    const by = (query: string): string[] =>
      rank(query, names, (n) => `${n.split(':')[1] ?? ''} ${n}`);
    expect(by('apl')[0]).toBe('SIM:AAPL');
    expect(by('btc')).toEqual(['COINBASE:BTC-USD']);
    expect(by('coin usd')).toEqual(['COINBASE:BTC-USD']);
    expect(by('pl')[0]).toBe('SIM:PLTR');
    expect(by('')).toEqual(names);
    expect(by('zzz')).toEqual([]);
    expect(fit('a', 'b')).toBeNull();
  });
});

describe('keys', () => {
  const key = (key: string, more: { alt?: boolean; shift?: boolean; code?: string } = {}) =>
    commandOf({ key, code: '', alt: false, shift: false, ...more });

  it('mean what the sheet says', () => {
    expect(key('/')).toEqual({ do: 'search' });
    expect(key('?', { shift: true })).toEqual({ do: 'help' });
    expect(key('ArrowDown')).toEqual({ do: 'move', by: 1 });
    expect(key('ArrowLeft', { shift: true })).toEqual({ do: 'scroll', by: -10 });
    expect(key('3')).toMatchObject({ do: 'interval', interval: { id: '1m' } });
    expect(key('f')).toEqual({ do: 'feeds' });
    expect(key('a')).toEqual({ do: 'alerts' });
    expect(key(' ')).toEqual({ do: 'play' });
    expect(key('.')).toEqual({ do: 'step' });
    expect(key('Escape')).toEqual({ do: 'present' });
    expect(key('+', { shift: true })).toEqual({ do: 'pace', by: 1 });
    expect(key('[')).toEqual({ do: 'point', by: -1 });
    expect(key('Enter')).toEqual({ do: 'receipt' });
    expect(key('®', { alt: true, code: 'KeyR' })).toEqual({ do: 'reset' });
  });

  it('mean nothing otherwise', () => {
    for (const k of ['9', '0', 'x', 'Tab', 'F1']) expect(key(k)).toBeNull();
    expect(key('1', { alt: true, code: 'Digit1' })).toBeNull();
  });
});
