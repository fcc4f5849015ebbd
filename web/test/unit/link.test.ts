import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Line } from '../../src/net/link.ts';
import { Link } from '../../src/net/link.ts';
import type { Resume } from '../../src/net/resume.ts';

class FakeLine implements Line {
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  readonly sent: string[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
  }
  open(): void {
    this.onopen?.();
  }
  say(...messages: readonly object[]): void {
    this.onmessage?.({ data: JSON.stringify(messages) });
  }
  join(): void {
    this.open();
    this.say({ T: 'success', msg: 'connected' });
    this.say({ T: 'subscription' });
  }
}

function setUp() {
  const lines: FakeLine[] = [];
  const states: Resume[] = [];
  const trades: number[] = [];
  let reloads = 0;
  let onTrade = (): void => undefined;
  const link = new Link({
    dial: () => {
      const line = new FakeLine();
      lines.push(line);
      return line;
    },
    want: { trades: ['SIM:A'], quotes: [], mode: 'every' },
    owner: {
      onMessages: (messages) => {
        for (const m of messages) if (m.type === 'trade') trades.push(m.trade.seq);
        if (messages.some((m) => m.type === 'trade')) onTrade();
      },
      onState: (state) => states.push(state),
      onReload: () => reloads++,
    },
    random: () => 0.5,
  });
  return {
    link,
    lines,
    states,
    trades,
    reloads: () => reloads,
    meanwhile: (act: () => void) => {
      onTrade = act;
    },
    line: () => lines.at(-1) as FakeLine,
  };
}

const tick = (seq: number): object => ({
  T: 't',
  S: 'SIM:A',
  p: 1,
  s: 1,
  t: '2026-11-23T10:00:00Z',
  seq,
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('Link', () => {
  it('subscribes from the cursor, and after a cut from the newest one', () => {
    const s = setUp();
    s.link.start('c1');
    s.line().join();
    expect(JSON.parse(s.line().sent[0] ?? '')).toMatchObject({
      action: 'subscribe',
      trades: ['SIM:A'],
      mode: 'every',
      cursor: true,
      from: { cursor: 'c1' },
    });
    s.line().say(tick(1), { T: 'cursor', c: 'c2' });
    s.line().onclose?.();
    expect(s.link.current.phase).toBe('waiting');
    vi.advanceTimersByTime(500);
    s.line().join();
    expect(s.lines).toHaveLength(2);
    expect(JSON.parse(s.line().sent[0] ?? '')).toMatchObject({ from: { cursor: 'c2' } });
    expect(s.link.current).toMatchObject({ phase: 'live', resumes: 1 });
    expect(s.trades).toEqual([1]);
  });

  it('keeps the line as long as the server speaks, and no longer', () => {
    const s = setUp();
    s.link.start(null);
    s.line().join();
    for (let i = 0; i < 5; i++) {
      vi.advanceTimersByTime(10_000);
      s.line().say({ T: 'heartbeat', t: '2026-11-23T10:00:00Z' });
    }
    expect(s.link.current.phase).toBe('live');
    vi.advanceTimersByTime(12_001);
    expect(s.lines[0]?.closed).toBe(true);
    expect(s.link.current.phase).toBe('waiting');
  });

  it('gives up on a server that accepts and then says nothing', () => {
    const s = setUp();
    s.link.start(null);
    vi.advanceTimersByTime(8_001);
    expect(s.lines[0]?.closed).toBe(true);
  });

  it('asks for a reload on 416, and ignores the rest of that line', () => {
    const s = setUp();
    s.link.start('old');
    const line = s.line();
    line.open();
    line.say({ T: 'error', code: 416, msg: 'too old' }, tick(7), { T: 'cursor', c: 'x' });
    expect(s.reloads()).toBe(1);
    expect(s.trades).toEqual([]);
    expect(s.link.current).toMatchObject({ phase: 'reloading', cursor: null, reloads: 1 });
    vi.advanceTimersByTime(60_000);
    expect(s.lines).toHaveLength(1);
    s.link.start('new');
    s.line().join();
    expect(s.link.current.phase).toBe('live');
  });

  it('does not take the cursor of a frame in which its owner found a hole', () => {
    const s = setUp();
    s.meanwhile(() => {
      s.link.lost('a hole');
    });
    s.link.start('a');
    s.line().join();
    s.line().say(tick(9), { T: 'cursor', c: 'b' });
    expect(s.link.current.cursor).toBeNull();
    expect(s.reloads()).toBe(1);
  });

  it('drops a line that sends what is not the protocol, and joins again', () => {
    for (const broken of ['{', '{"T":"t"}', '[{"T":"t","S":"SIM:A","p":"x"}]', '[1]', '[{}]']) {
      const s = setUp();
      s.link.start('a');
      s.line().join();
      s.line().onmessage?.({ data: broken });
      expect(s.link.current.phase, broken).toBe('waiting');
      expect(s.link.current.problem, broken).toMatch(/cannot read the server/);
      expect(s.link.current.cursor).toBe('a');
    }
  });

  it('ignores kinds of message that it does not know', () => {
    const s = setUp();
    s.link.start(null);
    s.line().join();
    s.line().say({ T: 'news', S: 'SIM:A', text: 'news' }, { T: 'zz' }, tick(1));
    expect(s.link.current.phase).toBe('live');
    expect(s.trades).toEqual([1]);
  });

  it('stops for good', () => {
    const s = setUp();
    s.link.start(null);
    s.line().join();
    s.line().onclose?.();
    s.link.stop();
    vi.advanceTimersByTime(60_000);
    expect(s.lines).toHaveLength(1);
  });

  it('hurries when told that the network is back', () => {
    const s = setUp();
    s.link.start(null);
    s.line().onclose?.();
    s.link.hurry();
    expect(s.lines).toHaveLength(2);
    vi.advanceTimersByTime(60_000);
    s.link.stop();
  });
});
