import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readExact } from '../../src/market/exact.ts';
import { readBars, readHistory, readSymbols, readTrades } from '../../src/net/answers.ts';
import { asObject } from '../../src/net/fields.ts';
import { readPrice } from '../../src/net/prices.ts';
import { readFeeds } from '../../src/net/feeds.ts';
import { readFrame, subscribe } from '../../src/net/wire.ts';

describe('readFrame', () => {
  it('keeps the digits of a trade', () => {
    const [message] = readFrame(
      '[{"T":"t","S":"SIM:AAPL","i":1042,"p":187.420,"s":0.00015604,"t":"2026-11-23T10:00:00.123456789Z",' +
        '"x":"V","c":["@"],"z":"C","tks":"B","seq":1042,"r":"2026-11-23T10:00:00.2Z"}]',
    );
    expect(message).toEqual({
      type: 'trade',
      trade: {
        symbol: 'SIM:AAPL',
        price: '187.420',
        size: '0.00015604',
        time: { s: 1795428000, ns: 123456789 },
        seq: 1042,
        taker: 'B',
        received: { s: 1795428000, ns: 200000000 },
      },
    });
  });

  it('reads the control messages', () => {
    const frame =
      '[{"T":"success","msg":"connected"},{"T":"subscription","trades":["*"]},{"T":"cursor","c":"e.1"},' +
      '{"T":"status","S":"SIM:AAPL","feed":"sim","state":"stale"},' +
      '{"T":"status","S":"SIM:AAPL","feed":"sim","state":"odd"},' +
      '{"T":"gap","S":"SIM:AAPL","from":"2026-11-23T10:00:00Z","to":"2026-11-23T10:01:00Z","reason":"reconnect"},' +
      '{"T":"alert","S":"SIM:A","p":1,"t":"2026-11-23T10:00:00Z","seq":1,"msg":"up","id":"r:SIM:A:1"},' +
      '{"T":"heartbeat","t":"2026-11-23T10:00:00Z"},{"T":"error","code":416,"msg":"gone"},{"T":"new"}]';
    expect(readFrame(frame).map((m) => (m.type === 'status' ? m.state : m.type))).toEqual([
      'success',
      'subscription',
      'cursor',
      'stale',
      'unknown',
      'gap',
      'alert',
      'heartbeat',
      'error',
      'other',
    ]);
  });

  it('refuses half a trade', () => {
    for (const text of [
      '[{"T":"t","S":"SIM:A","s":1,"t":"2026-11-23T10:00:00Z"}]',
      '[{"T":"t","S":"SIM:A","p":null,"s":1,"t":"2026-11-23T10:00:00Z"}]',
      '[{"T":"t","S":"SIM:A","p":1,"s":1,"t":"yesterday"}]',
      '[{"T":"gap","S":"SIM:A"}]',
      '[null]',
      '"x"',
    ]) {
      expect(() => readFrame(text), text).toThrow(/want/);
    }
  });
});

describe('subscribe', () => {
  it('asks for a cursor only where it is of use', () => {
    const latest = subscribe({ trades: ['*'], quotes: ['*'], mode: 'latest', every: '50ms' }, null);
    expect(JSON.parse(latest)).toEqual({
      action: 'subscribe',
      trades: ['*'],
      quotes: ['*'],
      bars: [],
      mode: 'latest',
      every: '50ms',
    });
  });
});

describe('readPrice', () => {
  it('reads the tutorial message and nothing else', () => {
    expect(
      readPrice('{"timestamp":"2026-11-23T10:00:00Z","symbol":"AAPL","price":187.420}'),
    ).toMatchObject({ symbol: 'AAPL', price: '187.420' });
    for (const text of ['', '{}', '[]', '{"timestamp":"x","price":1}']) {
      expect(readPrice(text)).toBeNull();
    }
  });
});

/** What the server writes for both sides to read. */
const fixtures = new URL('../../../testdata/wire/', import.meta.url);
const files = existsSync(fixtures)
  ? readdirSync(fixtures).filter((name) => name.endsWith('.json'))
  : [];

/** What each file must come out as, by the beginning of its name. */
function decode(name: string, text: string): readonly (object | null)[] {
  const value = readExact(text);
  if (name.startsWith('rest-symbols')) return readSymbols(value);
  if (name.startsWith('rest-feeds')) return readFeeds(value).feeds;
  if (name.startsWith('rest-bars')) return readBars(value).bars;
  if (name.startsWith('rest-trades')) return readTrades(value, 'ALPACA:AAPL');
  if (name.startsWith('rest-history')) return readHistory(value, '');
  // The page does not ask for these.
  if (name.startsWith('rest-') || name === 'problem.json') return [asObject(value, name)];
  if (name === 'price-alert.json') return [asObject(value, name)];
  if (name.startsWith('price-')) return [readPrice(text)];
  const messages = readFrame(text);
  for (const m of messages) {
    // Each kind that the page acts on is understood, not passed over.
    if (m.type === 'other') expect(['x', 'c']).toContain(m.name);
  }
  return messages;
}

describe.skipIf(files.length === 0)('the fixtures of the server', () => {
  it.each(files)('%s', (name) => {
    const things = decode(name, readFileSync(new URL(name, fixtures), 'utf8'));
    expect(things.length).toBeGreaterThan(0);
    expect(things).not.toContain(null);
  });

  it('keep their digits', () => {
    const text = readFileSync(new URL('trade-coinbase.json', fixtures), 'utf8');
    const [message] = readFrame(text);
    expect(message).toMatchObject({ trade: { price: '61837.6300', size: '0.00000100' } });
  });
});
