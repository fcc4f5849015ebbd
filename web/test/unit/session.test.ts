import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bar, page, setUp, start, tick } from './session-kit.ts';

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
    await Promise.all([session.scroll('older', 100), session.scroll('older', 100)]);
    await session.scroll('older', 100);
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
    await session.scroll('older', 100);
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
    expect(session.gaps.holes).toEqual([]);
    server.line.say(gap('*', 'sim', false));
    expect(session.gaps.holes).toEqual([{ from: start, to: start + 60 }]);
    server.line.say(gap('*', 'sim', true));
    expect(session.gaps.holes).toEqual([]);
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
