/** A session with a server of which the test says what it answers next. */
import type { Decimal } from '../../src/market/decimal.ts';
import type { Interval } from '../../src/market/interval.ts';
import { intervalOf } from '../../src/market/interval.ts';
import type { Clock, Speed } from '../../src/market/clock.ts';
import type { Instant } from '../../src/market/instant.ts';
import type { Bar, Trade } from '../../src/market/types.ts';
import type { BarPage } from '../../src/net/answers.ts';
import type { Line } from '../../src/net/link.ts';
import type { AsOf, Rest } from '../../src/net/rest.ts';
import type { Frame } from '../../src/state/frame.ts';
import type { Row } from '../../src/state/row.svelte.ts';
import type { ChartSink } from '../../src/state/brush.ts';
import { Session } from '../../src/state/session.svelte.ts';

export const minute = intervalOf('1m') as Interval;
export const start = Date.parse('2026-11-23T10:00:00Z') / 1000;

export function bar(at: number, close: string, n = 1): Bar {
  const p = close as Decimal;
  return { t: start + at * 60, o: p, h: p, l: p, c: p, v: String(n) as Decimal, n, gappy: false };
}

/** A server of which the test says what it answers next. */
export class Server {
  answers: AsOf<BarPage>[] = [];
  asked: { limit: number; before: number | null; at: Instant | null }[] = [];
  /** The moments that streams of the past were opened at, and how fast. */
  dialled: { from: Instant; speed: Speed }[] = [];
  trades: Trade[] = [];
  lines: FakeLine[] = [];

  readonly rest = {
    bars: (_: string, __: Interval, limit: number, before: number | null, at: Instant | null) => {
      this.asked.push({ limit, before, at });
      const answer = this.answers.shift();
      return answer ? Promise.resolve(answer) : Promise.reject(new Error('no answer'));
    },
    barsAfter: (_: string, __: Interval, limit: number, after: number, at: Instant | null) => {
      this.asked.push({ limit, before: -after, at });
      const answer = this.answers.shift();
      return answer ? Promise.resolve(answer) : Promise.reject(new Error('no answer'));
    },
    trades: () => Promise.resolve(this.trades),
  } as unknown as Rest;

  get line(): FakeLine {
    return this.lines.at(-1) as FakeLine;
  }
}

export class FakeLine implements Line {
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
export const tick = (seq: number, at: number, price: number): object => ({
  T: 't',
  S: 'SIM:A',
  p: price,
  s: 1,
  t: new Date((start + at * 60) * 1000).toISOString(),
  seq,
});

export const row = {
  symbol: 'SIM:A',
  feed: 'sim',
  calendar: '24x7',
  state: 'live',
  decimals: 2,
} as unknown as Row;

export function setUp(...answers: AsOf<BarPage>[]) {
  const server = new Server();
  server.answers = answers;
  const drawn: string[] = [];
  const clocks: Clock[] = [];
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
    dialAt: (from, speed) => {
      const line = new FakeLine();
      server.lines.push(line);
      server.dialled.push({ from, speed });
      return line;
    },
    onClock: (clock) => clocks.push(clock),
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
  return { server, session, drawn, frame, clocks };
}

export const page = (bars: Bar[], cursor: string | null, more = false): AsOf<BarPage> => ({
  value: { bars, more },
  cursor,
});
