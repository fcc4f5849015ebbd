import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Decimal } from '../../src/market/decimal.ts';
import type { Interval } from '../../src/market/interval.ts';
import { intervalOf } from '../../src/market/interval.ts';
import type { Bar } from '../../src/market/types.ts';
import type { BarPage } from '../../src/net/answers.ts';
import type { Line } from '../../src/net/link.ts';
import type { AsOf, Rest } from '../../src/net/rest.ts';
import type { Frame } from '../../src/state/frame.ts';
import type { Row } from '../../src/state/row.svelte.ts';
import type { ChartSink } from '../../src/state/session.svelte.ts';
import { Session } from '../../src/state/session.svelte.ts';

const minute = intervalOf('1m') as Interval;
const start = Date.parse('2026-11-23T10:00:00Z') / 1000;

function bar(at: number, close: string, n = 1): Bar {
  const p = close as Decimal;
  return { t: start + at * 60, o: p, h: p, l: p, c: p, v: String(n) as Decimal, n, gappy: false };
}

/** A server of which the test says what it answers next. */
class Server {
  answers: AsOf<BarPage>[] = [];
  asked: { limit: number; before: number | null }[] = [];
  lines: FakeLine[] = [];

  readonly rest = {
    bars: (_: string, __: Interval, limit: number, before: number | null) => {
      this.asked.push({ limit, before });
      const answer = this.answers.shift();
      return answer ? Promise.resolve(answer) : Promise.reject(new Error('no answer'));
    },
    trades: () => Promise.resolve([]),
  } as unknown as Rest;

  get line(): FakeLine {
    return this.lines.at(-1) as FakeLine;
  }
}

class FakeLine implements Line {
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  sent: string[] = [];
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.onclose = null;
  }
  say(...messages: object[]): void {
    this.onmessage?.({ data: JSON.stringify(messages) });
  }
  join(): void {
    this.onopen?.();
    this.say({ T: 'subscription' });
  }
}

/** A trade of the stream: its number, the minute it falls into, its price. */
const tick = (seq: number, at: number, price: number): object => ({
  T: 't',
  S: 'SIM:A',
  p: price,
  s: 1,
  t: new Date((start + at * 60) * 1000).toISOString(),
  seq,
});

const row = {
  symbol: 'SIM:A',
  feed: 'sim',
  calendar: '24x7',
  state: 'live',
  decimals: 2,
} as unknown as Row;

function setUp(...answers: AsOf<BarPage>[]) {
  const server = new Server();
  server.answers = answers;
  const drawn: string[] = [];
  const sink: ChartSink = {
    open: (bars) => drawn.push(`open ${String(bars.length)}`),
    replace: (bars) => drawn.push(`replace ${String(bars.length)}`),
    update: (bars) => drawn.push(`update ${String(bars.length)}`),
  };
  const tasks = new Set<() => void>();
  const session = new Session({
    rest: server.rest,
    dial: () => {
      const line = new FakeLine();
      server.lines.push(line);
      return line;
    },
    frame: { mark: (task: () => void) => tasks.add(task) } as unknown as Frame,
    now: () => Date.now(),
  });
  session.attach(sink);
  session.open(row, minute);
  const frame = (): void => {
    const due = [...tasks];
    tasks.clear();
    for (const task of due) task();
  };
  return { server, session, drawn, frame };
}

const page = (bars: Bar[], cursor: string | null, more = false): AsOf<BarPage> => ({
  value: { bars, more },
  cursor,
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('Session', () => {
  it('goes on from the position that its history is good for', async () => {
    const { server, session, drawn, frame } = setUp(page([bar(0, '1'), bar(1, '2')], 'c1'));
    await vi.advanceTimersByTimeAsync(0);
    frame();
    expect(drawn).toEqual(['open 2']);
    server.line.join();
    expect(JSON.parse(server.line.sent[0] ?? '')).toMatchObject({
      trades: ['SIM:A'],
      mode: 'every',
      from: { cursor: 'c1' },
    });
    server.line.say(tick(41, 1.5, 3), tick(42, 2, 4), { T: 'cursor', c: 'c2' });
    frame();
    expect(drawn).toEqual(['open 2', 'update 2']);
    expect(session.bars.map((b) => [b.c, b.n])).toEqual([
      ['1', 1],
      ['3', 2],
      ['4', 1],
    ]);
    session.close();
  });

  it('draws no more than once a frame, however much comes', async () => {
    const { server, drawn, frame } = setUp(page([bar(0, '1')], 'c1'));
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    frame();
    for (let seq = 1; seq <= 500; seq++) server.line.say(tick(seq, 0.5, seq));
    frame();
    expect(drawn).toEqual(['open 1', 'update 1']);
  });

  it('loads history anew when a trade number is missing', async () => {
    const { server, session, frame } = setUp(
      page([bar(0, '1')], 'c1'),
      page([bar(0, '1', 3), bar(1, '9')], 'c9'),
    );
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    server.line.say(tick(5, 0.2, 2), tick(7, 0.4, 3), { T: 'cursor', c: 'c2' });
    await vi.advanceTimersByTimeAsync(0);
    expect(server.lines).toHaveLength(2);
    server.line.join();
    expect(JSON.parse(server.line.sent[0] ?? '')).toMatchObject({ from: { cursor: 'c9' } });
    frame();
    expect(session.tally).toMatchObject({ holes: 1, applied: 0 });
    expect(session.connection.reloads).toBe(1);
    expect(session.bars.map((b) => b.n)).toEqual([3, 1]);
  });

  it('takes the word of the server for bars that have closed, and not for the newest', async () => {
    const { server, session } = setUp(
      page([bar(0, '1')], 'c1'),
      page([bar(1, '7', 7), bar(0, '5', 5)], 'later'),
    );
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    server.line.say(tick(1, 1, 2));
    await vi.advanceTimersByTimeAsync(3_000);
    expect(server.asked).toHaveLength(2);
    expect(session.bars.map((b) => [b.c, b.n])).toEqual([
      ['5', 5],
      ['2', 1],
    ]);
    session.close();
  });

  it('fetches older bars once at a time, until there are none', async () => {
    const { server, session } = setUp(
      page([bar(5, '5')], 'c', true),
      page([bar(4, '4'), bar(3, '3')], 'c'),
    );
    await vi.advanceTimersByTimeAsync(0);
    await Promise.all([session.older(), session.older()]);
    await session.older();
    expect(server.asked.map((a) => a.before)).toEqual([null, start + 300]);
    expect(session.bars.map((b) => b.c)).toEqual(['3', '4', '5']);
    session.close();
  });

  it('holds a bounded number of bars, and fetches what it dropped when asked', async () => {
    const { server, session } = setUp(page([bar(0, '1')], 'c'), page([bar(1, '1')], 'c'));
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    for (let seq = 1; seq <= 12_000; seq++) server.line.say(tick(seq, seq, seq));
    expect(session.bars.length).toBeLessThanOrEqual(10_000);
    const [oldest] = session.bars;
    await session.older();
    expect(server.asked.at(-1)?.before).toBe(oldest?.t);
    session.close();
  });

  it('remembers a hole and forgets it when it was filled', async () => {
    const { server, session } = setUp(page([bar(0, '1')], 'c'), page([], 'c'));
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    const gap = (s: string, feed: string, filled: boolean): object => ({
      T: 'gap',
      S: s,
      feed,
      from: '2026-11-23T10:00:00Z',
      to: '2026-11-23T10:01:00Z',
      filled,
      reason: 'connection lost',
    });
    server.line.say(gap('SIM:B', 'sim', false), gap('*', 'other', false));
    expect(session.holes).toEqual([]);
    server.line.say(gap('*', 'sim', false));
    expect(session.holes).toEqual([{ from: start, to: start + 60 }]);
    server.line.say(gap('*', 'sim', true));
    expect(session.holes).toEqual([]);
    session.close();
  });

  it('says what went wrong, and tries again by itself', async () => {
    const { server, session } = setUp();
    await vi.advanceTimersByTimeAsync(0);
    expect([session.phase, session.problem]).toEqual(['failed', 'no answer']);
    server.answers = [page([bar(0, '1')], 'c')];
    await vi.advanceTimersByTimeAsync(2_000);
    expect(session.phase).toBe('ready');
    session.close();
  });

  it('goes on by its cursor after a short absence, and loads anew after a long one', async () => {
    const { server, session } = setUp(page([bar(0, '1')], 'c1'), page([bar(0, '1')], 'c5'));
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    server.line.say(tick(1, 0.5, 2), { T: 'cursor', c: 'c2' });
    session.hide();
    vi.advanceTimersByTime(30_000);
    session.unhide();
    server.line.join();
    expect(JSON.parse(server.line.sent[0] ?? '')).toMatchObject({ from: { cursor: 'c2' } });
    expect(server.asked).toHaveLength(1);
    session.hide();
    vi.advanceTimersByTime(61_000);
    session.unhide();
    await vi.advanceTimersByTimeAsync(0);
    expect(server.asked).toHaveLength(2);
    session.close();
  });
});
