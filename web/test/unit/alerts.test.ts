import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AlertRule, FiredAlert, FiredPage } from '../../src/market/alert.ts';
import { blank, findTutorial, tutorial } from '../../src/market/alert.ts';
import type { Decimal } from '../../src/market/decimal.ts';
import { readExact } from '../../src/market/exact.ts';
import { readFired, readRules, writeRule } from '../../src/net/alerts.ts';
import { RefusedError } from '../../src/net/rest.ts';
import { readFrame } from '../../src/net/wire.ts';
import { Alerts } from '../../src/state/alerts.svelte.ts';
import { draftOf, ruleOf, symbolsWord, wrongOf } from '../../src/ui/alerts.ts';
import type { Permission } from '../../src/ui/bell.ts';
import { Bell } from '../../src/ui/bell.ts';
import { FakeLine } from './session-kit.ts';

const at = { s: 1795435200, ns: 0 };

function fired(n: number): FiredAlert {
  return {
    n,
    id: `r:SIM:A:${String(n)}`,
    rule: 'r',
    name: 'R',
    symbol: 'SIM:A',
    price: '1.50' as Decimal,
    time: { s: at.s + n, ns: 0 },
    text: 'up',
    severity: 'info',
    acknowledged: null,
  };
}

describe('rules', () => {
  it('are read and written without loss', () => {
    const text =
      '{"rules":[{"id":"a","name":"A","symbols":["SIM:*","X"],"when":"price > 1","until":"price < 1","for":"5s",' +
      '"cooldown":"1h0m0s","once":true,"severity":"critical","text":"{{price}}","session":"regular",' +
      '"expires":"2027-01-01T00:00:00Z","webhooks":["https://a.example/"],"off":true},' +
      '{"id":"b","name":"B","symbols":["*"],"when":"gap()","severity":"new word"}]}';
    const [a, b] = readRules(readExact(text));
    if (a === undefined || b === undefined) throw new Error('want two rules');
    expect(a).toMatchObject({ for: '5s', cooldown: '1h', once: true, off: true });
    expect(b).toMatchObject({ ...blank, id: 'b', name: 'B', when: 'gap()', severity: 'warning' });
    expect(ruleOf(draftOf(a), a)).toEqual(a);
    const again = `{"rules":[${writeRule(a)},${writeRule(b)}]}`;
    expect(readRules(readExact(again))).toEqual([a, b]);
    expect(writeRule({ ...blank, name: 'C' })).toBe(
      '{"name":"C","symbols":["*"],"severity":"warning"}',
    );
    for (const wrong of ['[]', '{"rules":[{}]}', '{"rules":[{"id":"a","name":"A"}]}']) {
      expect(() => readRules(readExact(wrong)), wrong).toThrow(/want/);
    }
  });

  it('come from what was typed', () => {
    const draft = { ...draftOf(blank), name: ' N ', symbols: 'a, SIM:*;b\n', for: '5 s' };
    expect(ruleOf(draft, { ...blank, id: 'x', once: true })).toMatchObject({
      id: 'x',
      once: true,
      name: 'N',
      symbols: ['a', 'SIM:*', 'b'],
      for: '5s',
    });
    expect([['*'], ['A', 'B']].map(symbolsWord)).toEqual(['All symbols', 'A, B']);
  });

  it('know that of the tutorial whatever it is called', () => {
    const other = { ...blank, id: 'move', when: 'abs(change("10s"))>=2' };
    expect(findTutorial([{ ...blank, id: 'x' }])).toBeNull();
    expect(findTutorial([other])).toBe(other);
    expect(findTutorial([{ ...other, symbols: ['SIM:A'] }])).toBeNull();
    expect(findTutorial([{ ...tutorial, when: 'price > 1' }])).not.toBeNull();
  });

  it('say at which field they are wrong', () => {
    expect(wrongOf('bad rule: bad rule "a \\": when: b": when: no "x" at 3')).toEqual({
      field: 'when',
      text: 'no "x" at 3',
    });
    expect(wrongOf('bad rule: "x" is not a length of time')).toEqual({
      field: null,
      text: '"x" is not a length of time',
    });
    expect(wrongOf('bad rule: json: unknown field')).toEqual({
      field: null,
      text: 'json: unknown field',
    });
    expect(wrongOf('not here')).toEqual({ field: null, text: 'not here' });
  });
});

describe('alerts of the past', () => {
  it('are read', () => {
    const page = readFired(
      readExact(
        '{"alerts":[{"n":7,"id":"r:SIM:A:7","rule":"r","name":"R","symbol":"SIM:A","seq":7,' +
          '"t":"2026-11-23T12:00:07Z","price":1.50,"text":"up","severity":"info"}],"before":7}',
      ),
    );
    expect(page).toEqual({ alerts: [fired(7)], before: 7 });
    expect(readFired(readExact('{"alerts":[]}'))).toEqual({ alerts: [], before: null });
    expect(() => readFired(readExact('{"alerts":[{"n":1}]}'))).toThrow(/want/);
  });

  it('are told by the stream, with an id even where the server gave none', () => {
    const bare =
      '[{"T":"alert","S":"SIM:A","p":1.50,"t":"2026-11-23T12:00:00Z","seq":3,"msg":"up"}]';
    expect(readFrame(bare)[0]).toEqual({
      type: 'alert',
      alert: { id: ':SIM:A:3', symbol: 'SIM:A', price: '1.50', time: at, text: 'up' },
    });
    expect(() => readFrame('[{"T":"alert","S":"SIM:A"}]')).toThrow(/want/);
  });
});

describe('Alerts', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  /** A server of which the test says what it knows. */
  function kit() {
    const lines: FakeLine[] = [];
    const server = {
      rules: [] as AlertRule[],
      history: [] as FiredAlert[],
      refuse: null as Error | null,
      async change<T>(value: T): Promise<T> {
        await Promise.resolve();
        if (server.refuse !== null) throw server.refuse;
        return value;
      },
    };
    const page = (before: number | null, limit: number): FiredPage => {
      const due = server.history.filter(({ n }) => before === null || (n ?? 0) < before);
      const alerts = due.slice(0, limit);
      return { alerts, before: alerts.length === limit ? (alerts.at(-1)?.n ?? null) : null };
    };
    const alerts = new Alerts({
      dial: () => {
        const line = new FakeLine();
        lines.push(line);
        return line;
      },
      rest: {
        rules: () => server.change(server.rules),
        fired: (before, limit) => server.change(page(before, limit)),
        putRule: (rule) => server.change({ ...rule, id: rule.id || 'new' }),
        removeRule: () => server.change(undefined),
        acknowledge: () => server.change(undefined),
      },
    });
    const tell = (...numbers: number[]): void => {
      const frame = numbers.map((n) => ({
        T: 'alert',
        S: 'SIM:A',
        p: 1,
        t: new Date((at.s + n) * 1000).toISOString(),
        seq: n,
        msg: 'up',
        id: `r:SIM:A:${String(n)}`,
      }));
      lines.at(-1)?.onmessage?.({ data: JSON.stringify(frame) });
    };
    const join = (): void => {
      const line = lines.at(-1);
      line?.onopen?.();
      line?.onmessage?.({ data: '[{"T":"success","msg":"connected"},{"T":"subscription"}]' });
    };
    alerts.start();
    join();
    return { alerts, server, lines, tell };
  }

  it('asks for the alerts of all symbols, and nothing else', () => {
    const { lines, alerts } = kit();
    expect(JSON.parse(lines[0]?.sent[0] ?? '')).toMatchObject({
      trades: [],
      quotes: [],
      bars: [],
      alerts: ['*'],
      cursor: true,
    });
    alerts.stop();
  });

  it('counts what nobody looked at, shows the newest for a while, and does not shout', async () => {
    const { alerts, tell } = kit();
    const heard: number[] = [];
    alerts.listen((list) => heard.push(list.length));
    tell(1);
    expect([alerts.unseen, alerts.shown?.alert.id, alerts.shown?.more]).toEqual([
      1,
      'r:SIM:A:1',
      0,
    ]);
    expect(alerts.spoken).toBe('Alert. SIM:A: up');
    tell(2, 3);
    tell(4);
    expect([alerts.unseen, alerts.shown?.alert.id, alerts.shown?.more]).toEqual([
      4,
      'r:SIM:A:4',
      3,
    ]);
    expect(heard).toEqual([1]);
    await vi.advanceTimersByTimeAsync(3000);
    expect(heard).toEqual([1, 3]);
    expect(alerts.spoken).toBe('3 alerts. SIM:A: up');
    alerts.hold(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(alerts.shown).not.toBeNull();
    alerts.hold(false);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(alerts.shown).toBeNull();
    expect(alerts.unseen).toBe(4);
    alerts.look();
    expect(alerts.unseen).toBe(0);
    alerts.stop();
  });

  it('learns what the rule is called, and how much it matters', async () => {
    const { alerts, server, tell } = kit();
    server.rules = [{ ...blank, id: 'r', name: 'R', severity: 'critical' }];
    tell(1);
    expect(alerts.shown?.alert).toMatchObject({ name: '', severity: 'warning' });
    await vi.advanceTimersByTimeAsync(0);
    expect(alerts.shown?.alert).toMatchObject({ name: 'R', severity: 'critical', text: 'up' });
    alerts.stop();
  });

  it('shows each alert once while somebody looks, though stream and history both tell it', async () => {
    const { alerts, server, tell } = kit();
    server.history = [fired(2), fired(1)];
    alerts.look();
    await vi.advanceTimersByTimeAsync(0);
    expect(alerts.fired.map(({ n }) => n)).toEqual([2, 1]);
    tell(3);
    expect(alerts.fired.map(({ n }) => n)).toEqual([null, 2, 1]);
    expect([alerts.unseen, alerts.shown]).toEqual([0, null]);
    // It is not noted yet when it is first asked for.
    await vi.advanceTimersByTimeAsync(400);
    expect(alerts.fired.map(({ n }) => n)).toEqual([null, 2, 1]);
    server.history = [fired(3), ...server.history];
    await vi.advanceTimersByTimeAsync(2000);
    expect(alerts.fired.map(({ n }) => n)).toEqual([3, 2, 1]);
    alerts.stop();
  });

  it('fetches older ones, and begins anew over a hole', async () => {
    const { alerts, server, tell } = kit();
    server.history = Array.from({ length: 120 }, (_, i) => fired(120 - i));
    alerts.look();
    await vi.advanceTimersByTimeAsync(0);
    await alerts.more();
    expect([alerts.fired.length, alerts.older]).toEqual([100, 21]);
    server.history = [fired(121), ...server.history];
    tell(121);
    await vi.advanceTimersByTimeAsync(400);
    expect([alerts.fired.length, alerts.older]).toEqual([101, 21]);
    expect(alerts.fired.map(({ n }) => n)).toEqual(Array.from({ length: 101 }, (_, i) => 121 - i));
    server.history = Array.from({ length: 300 }, (_, i) => fired(300 - i));
    tell(300);
    await vi.advanceTimersByTimeAsync(400);
    expect([alerts.fired.length, alerts.older]).toEqual([50, 251]);
    alerts.stop();
  });

  it('turns rules on and off, removes and restores them', async () => {
    const { alerts } = kit();
    alerts.look();
    await vi.advanceTimersByTimeAsync(0);
    await alerts.turnTutorial();
    expect(alerts.tutorial).toEqual(tutorial);
    await alerts.turnTutorial();
    expect(alerts.tutorial?.off).toBe(true);
    expect(await alerts.save({ ...blank, name: 'N' })).toBe('');
    expect(alerts.rules.map(({ id }) => id)).toEqual([tutorial.id, 'new']);
    await alerts.remove(alerts.rules[0] ?? blank);
    expect([alerts.tutorial, alerts.removed?.id]).toEqual([null, tutorial.id]);
    await alerts.restore();
    expect([alerts.tutorial?.id, alerts.removed]).toEqual([tutorial.id, null]);
    alerts.stop();
  });

  it('says what the server refuses, and who may not', async () => {
    const { alerts, server } = kit();
    server.refuse = new RefusedError(400, 'bad rule: when: 1');
    expect(await alerts.save(blank)).toBe('bad rule: when: 1');
    expect([alerts.refused, alerts.wrong, alerts.busy]).toEqual(['', '', false]);
    server.refuse = new RefusedError(403, 'only here');
    await alerts.turnTutorial();
    expect([alerts.refused, alerts.wrong]).toEqual(['only here', 'only here']);
    server.refuse = null;
    await alerts.turnTutorial();
    expect([alerts.refused, alerts.wrong]).toEqual(['', '']);
    alerts.stop();
  });

  it('knows a server without rules, and waits for one that is not ready', async () => {
    const { alerts, server } = kit();
    server.refuse = new RefusedError(503, 'not yet');
    alerts.look();
    await vi.advanceTimersByTimeAsync(0);
    expect([alerts.phase, alerts.problem]).toEqual(['failed', 'not yet']);
    server.refuse = new RefusedError(404, 'nothing there');
    await vi.advanceTimersByTimeAsync(2000);
    expect(alerts.phase).toBe('none');
    alerts.leave();
    server.refuse = null;
    alerts.look();
    await vi.advanceTimersByTimeAsync(0);
    expect(alerts.phase).toBe('ready');
    alerts.stop();
  });
});

describe('Bell', () => {
  function kit(answer: Permission) {
    const prefs = { notify: false, sound: false, save: vi.fn() };
    const outside = { ask: vi.fn(() => Promise.resolve(answer)), show: vi.fn(), beep: vi.fn() };
    return { prefs, outside, bell: new Bell(prefs, () => undefined, outside) };
  }

  it('is silent until it is asked for', async () => {
    const { prefs, outside, bell } = kit('granted');
    bell.ring([fired(1)]);
    expect([outside.show, outside.beep, outside.ask].map((f) => f.mock.calls.length)).toEqual([
      0, 0, 0,
    ]);
    expect(await bell.turnNotify()).toBe('');
    bell.turnSound();
    bell.ring([]);
    bell.ring([fired(2), fired(1)]);
    expect(outside.show.mock.calls[0]?.slice(0, 3)).toEqual([
      'SIM:A',
      'up (and 1 more)',
      'r:SIM:A:2',
    ]);
    expect([outside.show.mock.calls.length, outside.beep.mock.calls.length]).toEqual([1, 2]);
    expect(await bell.turnNotify()).toBe('');
    expect([prefs.notify, prefs.save.mock.calls.length]).toEqual([false, 3]);
  });

  it('stays off where the browser does not allow it, and says so', async () => {
    for (const answer of ['denied', 'none'] as const) {
      const { prefs, bell } = kit(answer);
      expect(await bell.turnNotify()).not.toBe('');
      expect(prefs.notify).toBe(false);
    }
  });
});
