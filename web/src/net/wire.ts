import type { ToldAlert } from '../market/alert.ts';
import type { Clock, Speed } from '../market/clock.ts';
import { speedOf } from '../market/clock.ts';
import type { Exact, ExactObject } from '../market/exact.ts';
import { readExact } from '../market/exact.ts';
import type { Instant } from '../market/instant.ts';
import type { Bar, FlowState, Gap, Quote, Trade } from '../market/types.ts';
import { told } from './alerts.ts';
import * as f from './fields.ts';

/** What the server says on `/v2/tape`. */
export type Message =
  | { readonly type: 'trade'; readonly trade: Trade }
  | { readonly type: 'quote'; readonly quote: Quote }
  | {
      readonly type: 'bar';
      readonly kind: 'b' | 'u' | 'd';
      readonly symbol: string;
      readonly bar: Bar;
    }
  | { readonly type: 'cursor'; readonly cursor: string }
  | {
      readonly type: 'status';
      readonly symbol: string;
      readonly feed: string;
      readonly state: FlowState;
    }
  | { readonly type: 'gap'; readonly gap: Gap }
  | { readonly type: 'alert'; readonly alert: ToldAlert }
  | { readonly type: 'heartbeat'; readonly time: Instant | null }
  | { readonly type: 'clock'; readonly clock: Clock }
  | { readonly type: 'success'; readonly message: string }
  | { readonly type: 'subscription' }
  | { readonly type: 'error'; readonly code: number; readonly message: string }
  /** A kind that this page does not know yet. To be ignored. */
  | { readonly type: 'other'; readonly name: string };

/**
 * Reads one frame of the stream. Throws `SyntaxError` when it is not JSON and
 * `DecodeError` when it is not a frame: a market screen rather stops and joins
 * again than show half of what it was told.
 */
export function readFrame(frame: string): Message[] {
  return f.asArray(readExact(frame), 'frame').map(message);
}

/** What to subscribe to, as the protocol spells it. */
export interface Subscription {
  readonly trades: readonly string[];
  readonly quotes: readonly string[];
  /** Symbols whose alerts are told. */
  readonly alerts?: readonly string[];
  readonly mode: 'every' | 'latest';
  /** For mode `latest`: the shortest time between two frames, such as `50ms`. */
  readonly every?: string;
  /** Whether the stream plays the past; its place is then told by the clock, not by cursors. */
  readonly played?: boolean;
}

/** What a stream that plays the past can be told. */
export type Control =
  | { readonly action: 'pause' | 'resume' }
  | { readonly action: 'speed'; readonly speed: Speed }
  | { readonly action: 'step'; readonly ticks: number };

/** The subscribe request. With a cursor the stream goes on from there, without hole or double. */
export function subscribe(want: Subscription, cursor: string | null): string {
  return JSON.stringify({
    action: 'subscribe',
    trades: want.trades,
    quotes: want.quotes,
    bars: [],
    ...(want.alerts === undefined ? {} : { alerts: want.alerts }),
    mode: want.mode,
    ...(want.every === undefined ? {} : { every: want.every }),
    ...(want.mode === 'every' && want.played !== true ? { cursor: true } : {}),
    ...(cursor === null ? {} : { from: { cursor } }),
  });
}

function message(value: Exact): Message {
  const o = f.asObject(value, 'message');
  const name = f.text(o, 'T');
  switch (name) {
    case 't':
      return { type: 'trade', trade: trade(o) };
    case 'q':
      return { type: 'quote', quote: quote(o) };
    case 'b':
    case 'u':
    case 'd':
      return { type: 'bar', kind: name, symbol: f.text(o, 'S'), bar: bar(o) };
    case 'cursor':
      return { type: 'cursor', cursor: f.text(o, 'c') };
    case 'status':
      return {
        type: 'status',
        symbol: f.text(o, 'S'),
        feed: f.textOr(o, 'feed', ''),
        state: flowState(f.textOr(o, 'state', 'unknown')),
      };
    case 'gap':
      return { type: 'gap', gap: gap(o) };
    case 'alert':
      return { type: 'alert', alert: told(o) };
    case 'heartbeat':
      return { type: 'heartbeat', time: f.timeOrNull(o, 't') };
    case 'clock':
      return { type: 'clock', clock: clock(o) };
    case 'success':
      return { type: 'success', message: f.textOr(o, 'msg', '') };
    case 'subscription':
      return { type: 'subscription' };
    case 'error':
      return { type: 'error', code: f.countOr(o, 'code', 0), message: f.textOr(o, 'msg', '') };
    default:
      return { type: 'other', name };
  }
}

function clock(o: ExactObject): Clock {
  return {
    time: f.time(o, 't'),
    speed: speedOf(f.textOr(o, 'speed', '1')) ?? 1,
    live: o['live'] === true,
    // A server that does not say is one that plays.
    playing: o['playing'] !== false,
    ended: o['ended'] === true,
  };
}

/** A trade of the stream; the REST API leaves out the symbol, which then is given. */
export function trade(o: ExactObject, symbol = f.text(o, 'S')): Trade {
  const taker = f.textOr(o, 'tks', '');
  return {
    symbol,
    price: f.price(o, 'p'),
    size: f.price(o, 's'),
    time: f.time(o, 't'),
    seq: f.countOr(o, 'seq', 0),
    taker: taker === 'B' || taker === 'S' ? taker : '',
    received: f.timeOrNull(o, 'r'),
  };
}

function quote(o: ExactObject): Quote {
  return {
    symbol: f.text(o, 'S'),
    bid: f.price(o, 'bp'),
    bidSize: f.price(o, 'bs'),
    ask: f.price(o, 'ap'),
    askSize: f.price(o, 'as'),
    time: f.time(o, 't'),
  };
}

/** A bar as the stream and the REST API spell it. */
export function bar(o: ExactObject): Bar {
  return {
    t: f.time(o, 't').s,
    o: f.price(o, 'o'),
    h: f.price(o, 'h'),
    l: f.price(o, 'l'),
    c: f.price(o, 'c'),
    v: f.price(o, 'v'),
    n: f.countOr(o, 'n', 0),
    gappy: o['gappy'] === true,
  };
}

function gap(o: ExactObject): Gap {
  return {
    symbol: f.textOr(o, 'S', '*'),
    feed: f.textOr(o, 'feed', ''),
    from: f.time(o, 'from'),
    to: f.time(o, 'to'),
    reason: f.textOr(o, 'reason', ''),
    filled: o['filled'] === true,
  };
}

/** A state of flow; a word that this page does not know counts as unknown. */
export function flowState(word: string): FlowState {
  switch (word) {
    case 'live':
    case 'stale':
    case 'down':
    case 'closed':
    case 'halted':
      return word;
    default:
      return 'unknown';
  }
}
