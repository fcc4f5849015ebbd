import type { Interval } from '../market/interval.ts';
import { intervals } from '../market/interval.ts';
import type { View } from '../state/route.ts';

/** What a key means. */
export type Command =
  | { readonly do: 'search' }
  | { readonly do: 'help' }
  | { readonly do: 'move'; readonly by: number }
  | { readonly do: 'scroll'; readonly by: number }
  | { readonly do: 'interval'; readonly interval: Interval }
  | { readonly do: 'view'; readonly view: View }
  | { readonly do: 'feeds' }
  | { readonly do: 'alerts' }
  | { readonly do: 'reset' }
  | { readonly do: 'zone' }
  | { readonly do: 'play' }
  | { readonly do: 'step' }
  | { readonly do: 'pace'; readonly by: 1 | -1 }
  | { readonly do: 'go' }
  | { readonly do: 'present' }
  | { readonly do: 'point'; readonly by: number }
  | { readonly do: 'receipt' };

/** The parts of a keyboard event that decide. */
export interface Key {
  readonly key: string;
  readonly code: string;
  readonly alt: boolean;
  readonly shift: boolean;
}

/** What a key does on the screen at large; null when it means nothing here. */
export function commandOf({ key, code, alt, shift }: Key): Command | null {
  if (alt) return code === 'KeyR' ? { do: 'reset' } : null;
  const far = shift ? 10 : 1;
  switch (key) {
    case '/':
      return { do: 'search' };
    case '?':
      return { do: 'help' };
    case 'ArrowUp':
      return { do: 'move', by: -1 };
    case 'ArrowDown':
      return { do: 'move', by: 1 };
    case 'ArrowLeft':
      return { do: 'scroll', by: -far };
    case 'ArrowRight':
      return { do: 'scroll', by: far };
    case 'c':
      return { do: 'view', view: 'candles' };
    case 'l':
      return { do: 'view', view: 'line' };
    case 'v':
      return { do: 'view', view: 'live' };
    case 'f':
      return { do: 'feeds' };
    case 'a':
      return { do: 'alerts' };
    case 'u':
      return { do: 'zone' };
    case ' ':
      return { do: 'play' };
    case '.':
      return { do: 'step' };
    case '-':
      return { do: 'pace', by: -1 };
    case '+':
    case '=':
      return { do: 'pace', by: 1 };
    case 'g':
      return { do: 'go' };
    case 'Escape':
      return { do: 'present' };
    case '[':
      return { do: 'point', by: -1 };
    case ']':
      return { do: 'point', by: 1 };
    case 'Enter':
      return { do: 'receipt' };
  }
  const interval = /^[1-9]$/.test(key) ? intervals[Number(key) - 1] : undefined;
  return interval === undefined ? null : { do: 'interval', interval };
}

/** The sheet that `?` shows. */
export const sheet: readonly (readonly [keys: readonly string[], what: string])[] = [
  [['/'], 'Find a symbol'],
  [['↑', '↓'], 'Previous, next symbol'],
  [['←', '→'], 'Scroll the chart (with Shift: by ten bars)'],
  [['1', '…', String(intervals.length)], `Interval: ${intervals.map((i) => i.id).join(', ')}`],
  [['c'], 'Candles'],
  [['l'], 'Line'],
  [['v'], 'Live line: the last 50 trades'],
  [['f'], 'Feeds, and back to the chart'],
  [['a'], 'Alerts, and back to the chart'],
  [['Alt', 'R'], 'Reset the chart'],
  [['u'], 'Local time or UTC'],
  [['Space'], 'Pause here; play on from there'],
  [['.'], 'Next trade, while paused'],
  [['−', '+'], 'Play slower, faster'],
  [['g'], 'Go to a moment'],
  [['Esc'], 'Close what is open, else back to live'],
  [['[', ']'], 'Point at the previous, next bar'],
  [['Enter'], 'Receipt of that bar: what made it'],
  [['?'], 'This sheet'],
];
