import type { Decimal } from './decimal.ts';
import { sign, subtract, toNumber } from './decimal.ts';

/** How the reader's language writes numbers. */
export interface NumberStyle {
  readonly point: string;
  readonly group: string;
}

/** What stands where there is no value. */
export const nothing = '–';

/** The true minus, as wide as the plus and the digits. */
const minus = '−';

/** The number style of a language; that of the browser by default. */
export function numberStyle(locale?: string): NumberStyle {
  const parts = new Intl.NumberFormat(locale).formatToParts(1234567.8);
  return {
    point: parts.find((p) => p.type === 'decimal')?.value ?? '.',
    group: parts.find((p) => p.type === 'group')?.value ?? ',',
  };
}

/**
 * A price with the instrument's own decimals. Digits beyond them are shown too,
 * never rounded away, except zeros at the end; `-0.00` is shown as `0.00`.
 */
export function price(value: Decimal | null, decimals: number, style: NumberStyle): string {
  if (value === null) return nothing;
  const negative = sign(value) < 0;
  const bare = value.replace('-', '');
  const [whole = '0', fraction = ''] = bare.split('.');
  const digits = fraction.replace(/0+$/, '').padEnd(Math.max(0, decimals), '0');
  const shown = grouped(whole, style) + (digits === '' ? '' : style.point + digits);
  return negative ? minus + shown : shown;
}

/** A difference of prices with its sign: `+1.20`, `−0.05`, `0.00`. */
export function signed(value: Decimal | null, decimals: number, style: NumberStyle): string {
  const text = price(value, decimals, style);
  return value !== null && sign(value) > 0 ? `+${text}` : text;
}

/** How far a price is from its base. Null without a base, or with a base of zero. */
export interface Move {
  readonly difference: Decimal;
  readonly percent: number;
  readonly sign: -1 | 0 | 1;
}

export function move(now: Decimal | null, base: Decimal | null): Move | null {
  if (now === null || base === null || sign(base) === 0) return null;
  const difference = subtract(now, base);
  const percent = (toNumber(difference) / Math.abs(toNumber(base))) * 100;
  return Number.isFinite(percent) ? { difference, percent, sign: sign(difference) } : null;
}

/** `+0.64 %` without the space: `+0.64%`, `−1.20%`, `0.00%`. */
export function percent(value: number | null, style: NumberStyle, digits = 2): string {
  if (value === null || !Number.isFinite(value)) return nothing;
  const text = Math.abs(value).toFixed(digits);
  const shown = text.replace('.', style.point) + '%';
  if (!/[1-9]/.test(text)) return shown;
  return (value > 0 ? '+' : minus) + shown;
}

/** ▲, ▼ or an empty string: colour is never the only sign. */
export function arrow(direction: number): string {
  return direction > 0 ? '▲' : direction < 0 ? '▼' : '';
}

const compactSteps = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'K'],
] as const;

/** A volume in at most 4 digits: `950`, `12.3K`, `4.56M`, `0.0156`. */
export function volume(value: Decimal | null, style: NumberStyle): string {
  if (value === null) return nothing;
  const n = toNumber(value);
  if (!Number.isFinite(n)) return nothing;
  for (const [step, letter] of compactSteps) {
    if (Math.abs(n) >= step) return trimmed(n / step, style) + letter;
  }
  return n === 0 ? '0' : trimmed(n, style);
}

function trimmed(n: number, style: NumberStyle): string {
  const text = Math.abs(n) >= 1000 ? n.toFixed(0) : n.toPrecision(3);
  const plain = text.includes('e') ? String(n) : text;
  const short = plain.includes('.') ? plain.replace(/\.?0+$/, '') : plain;
  return short.replace('.', style.point).replace('-', minus);
}

/** A span of time in one unit, rounded down: `now`, `12s`, `3m`, `2h`, `5d`. */
export function age(ms: number): string {
  if (!Number.isFinite(ms) || ms < 1000) return 'now';
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${String(s)}s`;
  if (s < 3600) return `${String(Math.floor(s / 60))}m`;
  if (s < 86400) return `${String(Math.floor(s / 3600))}h`;
  return `${String(Math.floor(s / 86400))}d`;
}

/** A delay from feed to screen: `<1 ms`, `38 ms`, `1.2 s`, `–`. */
export function delay(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return nothing;
  if (ms < 1) return '<1 ms';
  if (ms < 1000) return `${String(Math.round(ms))} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : age(ms);
}

/** The time left in a bar: `0:23`, `12:05`, `3:04:59`. */
export function countdown(seconds: number): string {
  const left = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const two = (n: number): string => String(n).padStart(2, '0');
  const h = Math.floor(left / 3600);
  const m = Math.floor((left % 3600) / 60);
  return h > 0 ? `${String(h)}:${two(m)}:${two(left % 60)}` : `${String(m)}:${two(left % 60)}`;
}

/** The title of the tab: `187.42 ▲0.6% AAPL`. */
export function tabTitle(
  name: string,
  last: Decimal | null,
  base: Decimal | null,
  decimals: number,
  style: NumberStyle,
): string {
  if (last === null) return `${name} · Tapedeck`;
  const m = move(last, base);
  const shown = price(last, decimals, style);
  if (m === null) return `${shown} ${name}`;
  const amount = `${Math.abs(m.percent).toFixed(1).replace('.', style.point)}%`;
  return `${shown} ${arrow(m.sign)}${amount} ${name}`;
}

function grouped(whole: string, style: NumberStyle): string {
  const bare = whole.replace(/^0+(?=[0-9])/, '');
  return bare.replace(/\B(?=(?:[0-9]{3})+$)/g, style.group);
}

/** The digits of a price step such as 2 → 0.01, for the axis of a chart. */
export function step(decimals: number): number {
  return Number((10 ** -Math.min(12, Math.max(0, decimals))).toFixed(12));
}
