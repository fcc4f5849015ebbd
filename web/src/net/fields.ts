import type { Decimal } from '../market/decimal.ts';
import { decimal } from '../market/decimal.ts';
import type { Exact, ExactObject } from '../market/exact.ts';
import type { Instant } from '../market/instant.ts';
import { instant } from '../market/instant.ts';

/** A message that is JSON but not what the protocol says. Names the field. */
export class DecodeError extends Error {
  override name = 'DecodeError';
}

/** An object, or a DecodeError that says what was wanted. */
export function asObject(value: Exact | undefined, what: string): ExactObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DecodeError(`${what}: want an object`);
  }
  return value;
}

export function asArray(value: Exact | undefined, what: string): Exact[] {
  // An empty list is null in some encoders.
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new DecodeError(`${what}: want an array`);
  return value;
}

export function text(o: ExactObject, key: string): string {
  const value = o[key];
  if (typeof value !== 'string') throw new DecodeError(`${key}: want text`);
  return value;
}

export function textOr(o: ExactObject, key: string, fallback: string): string {
  const value = o[key];
  return typeof value === 'string' ? value : fallback;
}

export function price(o: ExactObject, key: string): Decimal {
  const value = decimal(text(o, key));
  if (value === null) throw new DecodeError(`${key}: want a number`);
  return value;
}

export function priceOrNull(o: ExactObject, key: string): Decimal | null {
  const value = o[key];
  return typeof value === 'string' ? decimal(value) : null;
}

/** A whole number that a double holds exactly. */
export function count(o: ExactObject, key: string): number {
  const value = Number(text(o, key));
  if (!Number.isSafeInteger(value)) throw new DecodeError(`${key}: want a whole number`);
  return value;
}

export function countOr(o: ExactObject, key: string, fallback: number): number {
  const value = o[key];
  const n = typeof value === 'string' && value !== '' ? Number(value) : NaN;
  return Number.isSafeInteger(n) ? n : fallback;
}

export function numberOrNull(o: ExactObject, key: string): number | null {
  const value = o[key];
  const n = typeof value === 'string' && value !== '' ? Number(value) : NaN;
  return Number.isFinite(n) ? n : null;
}

export function time(o: ExactObject, key: string): Instant {
  const value = instant(text(o, key));
  if (value === null) throw new DecodeError(`${key}: want an RFC 3339 time`);
  return value;
}

export function timeOrNull(o: ExactObject, key: string): Instant | null {
  const value = o[key];
  return typeof value === 'string' ? instant(value) : null;
}
