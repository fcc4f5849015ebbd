import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Trade } from '../../src/market/types.ts';
import type { FakeLine } from './session-kit.ts';
import { bar, page, setUp, start, tick } from './session-kit.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('Session in the past', () => {
  const noon = { s: start + 30, ns: 0 };
  const clock = (at: number, more: object = {}): object => ({
    T: 'clock',
    t: new Date((start + at) * 1000).toISOString(),
    speed: 10,
    live: false,
    playing: true,
    ...more,
  });
  const said = (line: FakeLine): object[] => line.sent.map((text) => JSON.parse(text) as object);

  it('loads what was known then, and plays on from there', async () => {
    const { server, session, clocks } = setUp(
      page([bar(0, '9', 9)], 'now'),
      page([bar(0, '1')], 'c'),
    );
    await vi.advanceTimersByTimeAsync(0);
    session.seek({ from: noon, speed: 10, playing: true });
    await vi.advanceTimersByTimeAsync(0);
    expect(server.asked.at(-1)).toMatchObject({ at: noon });
    expect(server.dialled).toEqual([{ from: noon, speed: 10 }]);
    server.line.join();
    expect(said(server.line)).toEqual([
      { action: 'subscribe', trades: ['SIM:A'], quotes: [], bars: [], mode: 'every' },
      { action: 'speed', speed: 10 },
    ]);
    server.line.say(clock(30), tick(5, 0.6, 3), clock(40));
    expect(session.bars.map((b) => [b.c, b.n])).toEqual([['3', 2]]);
    expect(clocks.map((c) => c.time.s - start)).toEqual([30, 40]);
    session.close();
  });

  it('stands still from the first moment on when it is to', async () => {
    const { server, session } = setUp(page([bar(0, '9')], 'now'), page([bar(0, '1')], 'c'));
    session.seek({ from: noon, speed: 60, playing: false });
    await vi.advanceTimersByTimeAsync(0);
    // No stream can be opened standing still: it is opened as slow as can be.
    expect(server.dialled).toEqual([{ from: noon, speed: 0.1 }]);
    server.line.join();
    expect(said(server.line).slice(1)).toEqual([
      { action: 'pause' },
      { action: 'speed', speed: 60 },
    ]);
    session.step();
    session.pace(true, 60);
    expect(said(server.line).slice(3)).toEqual([
      { action: 'step', ticks: 1 },
      { action: 'speed', speed: 60 },
      { action: 'resume' },
    ]);
    session.step();
    session.pace(false, 60);
    expect(said(server.line).slice(6)).toEqual([
      { action: 'pause' },
      { action: 'speed', speed: 60 },
    ]);
    session.close();
  });

  it('comes back to the moment where the line broke, and counts nothing twice', async () => {
    const { server, session } = setUp(page([bar(0, '9')], 'now'), page([bar(0, '1')], 'c'));
    server.trades = [{ seq: 4 } as Trade];
    session.seek({ from: noon, speed: 10, playing: true });
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    server.line.say(clock(30), tick(4, 0.5, 2), tick(5, 0.6, 3), clock(36), tick(6, 0.65, 4));
    const { length } = server.lines;
    server.line.onclose?.();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.lines).toHaveLength(length + 1);
    expect(server.dialled.at(-1)).toEqual({ from: { s: start + 36, ns: 0 }, speed: 10 });
    server.line.join();
    server.line.say(clock(36), tick(5, 0.6, 3), tick(6, 0.65, 4), tick(7, 0.7, 5), clock(43));
    expect(session.bars.map((b) => [b.c, b.n])).toEqual([['5', 4]]);
    expect(server.asked).toHaveLength(2);
    session.close();
  });

  it('asks for the bars instead of folding trades when it goes too fast', async () => {
    const { server, session, frame } = setUp(
      page([bar(0, '9')], 'now'),
      page([bar(0, '1')], 'c'),
      page([bar(0, '1', 5), bar(1, '2'), bar(2, '3')], 'c'),
      page([bar(9_000, '7'), bar(9_001, '8')], 'c', true),
    );
    session.seek({ from: noon, speed: 'max', playing: true });
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    expect(said(server.line)[0]).toMatchObject({ mode: 'latest' });
    server.line.say(tick(1, 1, 99), clock(130, { speed: 'max' }));
    await vi.advanceTimersByTimeAsync(0);
    frame();
    expect(server.asked.at(-1)).toMatchObject({ at: { s: start + 130, ns: 0 } });
    expect(session.bars.map((b) => b.n)).toEqual([5, 1, 1]);
    // So far ahead that a line to it would be false: it stands alone.
    server.line.say(clock(540_070, { speed: 'max' }));
    await vi.advanceTimersByTimeAsync(0);
    expect(session.bars.map((b) => b.c)).toEqual(['7', '8']);
    // And slowed down it folds again, from where it is.
    server.answers = [page([bar(9_001, '8')], 'c')];
    session.pace(true, 1);
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    expect(said(server.line)[0]).toMatchObject({ mode: 'every' });
    expect(server.dialled.at(-1)?.from.s).toBe(start + 540_070);
    session.close();
  });

  it('is live again with all that came since', async () => {
    const { server, session } = setUp(
      page([bar(0, '9')], 'now'),
      page([bar(0, '1')], 'c'),
      page([bar(0, '9'), bar(1, '9')], 'later'),
    );
    session.seek({ from: noon, speed: 1, playing: true });
    await vi.advanceTimersByTimeAsync(0);
    session.seek(null);
    await vi.advanceTimersByTimeAsync(0);
    server.line.join();
    expect(said(server.line)).toMatchObject([{ from: { cursor: 'later' }, cursor: true }]);
    expect(session.bars).toHaveLength(2);
    session.close();
  });

  it('waits, instead of asking without end, for a moment that the server refuses', async () => {
    const { server, session } = setUp(page([bar(0, '9')], 'now'), page([bar(0, '1')], 'c'));
    session.seek({ from: noon, speed: 1, playing: true });
    await vi.advanceTimersByTimeAsync(0);
    server.line.onopen?.();
    server.line.say({ T: 'error', code: 416, msg: 'that time has not come yet' });
    expect(session.connection).toMatchObject({
      phase: 'waiting',
      problem: 'that time has not come yet',
    });
    expect(server.asked).toHaveLength(2);
    session.close();
  });
});
