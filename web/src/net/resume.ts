/**
 * The life of one stream connection, as a pure state machine: what happens goes
 * in as events, what to do comes out as effects. No socket, no clock, no random
 * number in here, so that every order of events can be tested.
 *
 * The rule it keeps: the cursor only ever moves to a position up to which
 * everything was handed on. Whatever breaks, the next join asks for what comes
 * after that cursor; and when the server no longer has it, the owner is told to
 * load history anew, instead of a hole being papered over.
 */

/** Where the connection stands. */
export type Phase = 'off' | 'dialling' | 'joining' | 'live' | 'waiting' | 'reloading';

export interface Resume {
  readonly phase: Phase;
  /** The last position up to which all was handed on; null to join at the present. */
  readonly cursor: string | null;
  /** Failed attempts since it last was live. */
  readonly attempt: number;
  /** How often it came back to life by its cursor. */
  readonly resumes: number;
  /** How often history had to be loaded anew. */
  readonly reloads: number;
  /** The server's last complaint, for the reader; empty when all is well. */
  readonly problem: string;
}

export type Event =
  | { readonly type: 'start'; readonly cursor: string | null }
  | { readonly type: 'opened' }
  | { readonly type: 'joined' }
  | { readonly type: 'cursor'; readonly cursor: string }
  /** The server no longer has the cursor (or it belongs to another tape), or a seq was missing. */
  | { readonly type: 'lost'; readonly why: string }
  /** The server refused for another reason. */
  | { readonly type: 'refused'; readonly why: string }
  | { readonly type: 'closed' }
  /** Nothing was heard for too long: the line is dead though nobody said so. */
  | { readonly type: 'silent' }
  /** The wait is over, or the browser came back online. */
  | { readonly type: 'due' }
  | { readonly type: 'stop' };

export type Effect = 'dial' | 'subscribe' | 'hang up' | 'retry later' | 'reload';

export interface Step {
  readonly state: Resume;
  readonly effects: readonly Effect[];
}

/** Before anything happened. */
export const idle: Resume = {
  phase: 'off',
  cursor: null,
  attempt: 0,
  resumes: 0,
  reloads: 0,
  problem: '',
};

/** Applies one event. Events that make no sense in a phase (a late echo) change nothing. */
export function step(state: Resume, event: Event): Step {
  switch (event.type) {
    case 'start': {
      const busy = connected(state);
      return {
        state: { ...state, phase: 'dialling', cursor: event.cursor, attempt: 0, problem: '' },
        effects: busy ? ['hang up', 'dial'] : ['dial'],
      };
    }
    case 'opened':
      if (state.phase !== 'dialling') return same(state);
      return { state: { ...state, phase: 'joining' }, effects: ['subscribe'] };
    case 'joined': {
      if (state.phase !== 'joining') return same(state);
      const resumed = state.attempt > 0 && state.cursor !== null;
      const resumes = state.resumes + (resumed ? 1 : 0);
      return {
        state: { ...state, phase: 'live', attempt: 0, resumes, problem: '' },
        effects: [],
      };
    }
    case 'cursor':
      if (state.phase !== 'live' && state.phase !== 'joining') return same(state);
      return { state: { ...state, cursor: event.cursor }, effects: [] };
    case 'lost':
      if (!connected(state)) return same(state);
      return {
        state: {
          ...state,
          phase: 'reloading',
          cursor: null,
          reloads: state.reloads + 1,
          problem: event.why,
        },
        effects: ['hang up', 'reload'],
      };
    case 'refused':
      if (!connected(state)) return same(state);
      return broken({ ...state, problem: event.why }, true);
    case 'silent':
      return connected(state) ? broken(state, true) : same(state);
    case 'closed':
      return connected(state) ? broken(state, false) : same(state);
    case 'due':
      if (state.phase !== 'waiting') return same(state);
      return { state: { ...state, phase: 'dialling' }, effects: ['dial'] };
    case 'stop':
      return {
        state: { ...state, phase: 'off', attempt: 0 },
        effects: connected(state) ? ['hang up'] : [],
      };
  }
}

function connected(state: Resume): boolean {
  return state.phase === 'dialling' || state.phase === 'joining' || state.phase === 'live';
}

function broken(state: Resume, hangUp: boolean): Step {
  return {
    state: { ...state, phase: 'waiting', attempt: state.attempt + 1 },
    effects: hangUp ? ['hang up', 'retry later'] : ['retry later'],
  };
}

function same(state: Resume): Step {
  return { state, effects: [] };
}
