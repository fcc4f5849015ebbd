import { describe, expect, it } from 'vitest';
import { wait } from '../../src/net/backoff.ts';
import type { Effect, Event, Resume } from '../../src/net/resume.ts';
import { idle, step } from '../../src/net/resume.ts';

function run(events: readonly Event[], from: Resume = idle): { state: Resume; effects: Effect[] } {
  let state = from;
  const effects: Effect[] = [];
  for (const event of events) {
    const next = step(state, event);
    state = next.state;
    effects.push(...next.effects);
  }
  return { state, effects };
}

const joined: readonly Event[] = [
  { type: 'start', cursor: 'a' },
  { type: 'opened' },
  { type: 'joined' },
];

describe('the stream', () => {
  it('joins from the cursor that history gave', () => {
    const { state, effects } = run(joined);
    expect(effects).toEqual(['dial', 'subscribe']);
    expect(state).toMatchObject({ phase: 'live', cursor: 'a', resumes: 0 });
  });

  it('goes on from the last cursor after a cut', () => {
    const { state, effects } = run([
      ...joined,
      { type: 'cursor', cursor: 'b' },
      { type: 'closed' },
      { type: 'due' },
      { type: 'opened' },
      { type: 'joined' },
    ]);
    expect(effects).toEqual(['dial', 'subscribe', 'retry later', 'dial', 'subscribe']);
    expect(state).toMatchObject({ phase: 'live', cursor: 'b', attempt: 0, resumes: 1, reloads: 0 });
  });

  it('waits longer each time it fails, and forgets that once it is live', () => {
    const failing = run([
      ...joined,
      { type: 'closed' },
      { type: 'due' },
      { type: 'closed' },
      { type: 'due' },
      { type: 'opened' },
      { type: 'closed' },
    ]);
    expect(failing.state).toMatchObject({ phase: 'waiting', attempt: 3, cursor: 'a' });
    const back = run([{ type: 'due' }, { type: 'opened' }, { type: 'joined' }], failing.state);
    expect(back.state.attempt).toBe(0);
  });

  it('has history loaded anew when the cursor is gone, and joins from there', () => {
    const { state, effects } = run([...joined, { type: 'lost', why: 'too old' }]);
    expect(effects.slice(-2)).toEqual(['hang up', 'reload']);
    expect(state).toMatchObject({ phase: 'reloading', cursor: null, reloads: 1 });
    const back = run([{ type: 'start', cursor: 'z' }], state);
    expect(back.effects).toEqual(['dial']);
    expect(back.state.cursor).toBe('z');
  });

  it('takes silence for a cut', () => {
    const { state, effects } = run([...joined, { type: 'silent' }]);
    expect(effects.slice(-2)).toEqual(['hang up', 'retry later']);
    expect(state.phase).toBe('waiting');
  });

  it('tries a refusal again later, and says why', () => {
    const { state } = run([...joined, { type: 'refused', why: 'too many' }]);
    expect(state).toMatchObject({ phase: 'waiting', problem: 'too many', cursor: 'a' });
  });

  it('ends when it is told to, from anywhere', () => {
    for (const before of [[], joined, [...joined, { type: 'closed' } as const]]) {
      const { state } = run([...before, { type: 'stop' }]);
      expect(state.phase).toBe('off');
      for (const late of ['opened', 'joined', 'closed', 'silent', 'due'] as const) {
        expect(run([{ type: late }], state).effects).toEqual([]);
      }
    }
  });

  it('never moves the cursor while it is not connected', () => {
    const { state } = run([...joined, { type: 'closed' }, { type: 'cursor', cursor: 'late' }]);
    expect(state.cursor).toBe('a');
  });

  it('survives any order of events', () => {
    const all: readonly Event[] = [
      { type: 'start', cursor: 'x' },
      { type: 'opened' },
      { type: 'joined' },
      { type: 'cursor', cursor: 'y' },
      { type: 'lost', why: '' },
      { type: 'refused', why: '' },
      { type: 'closed' },
      { type: 'silent' },
      { type: 'due' },
      { type: 'stop' },
    ];
    let state = idle;
    let seed = 1;
    let connected = false;
    for (let i = 0; i < 20_000; i++) {
      seed = (seed * 48271) % 2147483647;
      const next = step(state, all[seed % all.length] as Event);
      for (const effect of next.effects) {
        // Two lines at once would fold each trade twice.
        if (effect === 'dial') {
          expect(connected).toBe(false);
          connected = true;
        }
        if (effect === 'hang up' || effect === 'retry later') connected = false;
      }
      state = next.state;
      expect(connected).toBe(['dialling', 'joining', 'live'].includes(state.phase));
    }
  });
});

describe('the wait', () => {
  const backoff = { first: 400, most: 10_000 };
  it('is bounded and spread', () => {
    expect([0, 1, 2, 3, 9, 5000].map((n) => wait(n, backoff, () => 0.999999))).toEqual([
      400, 800, 1600, 3200, 10_000, 10_000,
    ]);
    expect(wait(6, backoff, () => 0)).toBe(50);
  });
});
