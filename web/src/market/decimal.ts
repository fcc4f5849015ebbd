/**
 * Exact decimals, kept as the text that the venue sent.
 *
 * A `Decimal` is plain text such as `187.420`: optional minus, digits, optional
 * fraction, no exponent. Arithmetic goes through BigInt, so that a sum of sizes
 * never shows the noise of binary floats. `toNumber` is for drawing only.
 */

/** The text of an exact decimal number. */
export type Decimal = string & { readonly decimal: unique symbol };

const plainPattern = /^-?[0-9]+(?:\.[0-9]+)?$/;
const exponentPattern = /^(-?)([0-9]+)(?:\.([0-9]+))?[eE]([+-]?[0-9]+)$/;

/** Exponents beyond this are no price; expanding them would only cost memory. */
const maxExponent = 64;

/** Reads a number's text. Null when it is not a number (or beyond any price). */
export function decimal(text: string): Decimal | null {
  if (plainPattern.test(text)) return text as Decimal;
  const parts = exponentPattern.exec(text);
  if (!parts) return null;
  const [, sign = '', whole = '', fraction = '', exponentText = ''] = parts;
  const exponent = Number(exponentText);
  if (Math.abs(exponent) > maxExponent) return null;
  const coefficient = BigInt(sign + whole + fraction);
  return render(coefficient, fraction.length - exponent);
}

/** The zero that sums begin with. */
export const zero = '0' as Decimal;

/** The nearest binary float, for drawing and for ratios. */
export function toNumber(value: Decimal): number {
  return Number(value);
}

/** The number of digits after the point. */
export function places(value: Decimal): number {
  const point = value.indexOf('.');
  return point < 0 ? 0 : value.length - point - 1;
}

/** The number of digits after the point, zeros at the end not counted. */
export function significantPlaces(value: Decimal): number {
  return places(value.replace(/(\.[0-9]*?)0+$/, '$1').replace(/\.$/, '') as Decimal);
}

/** a + b, exact. */
export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(places(a), places(b));
  return render(coefficient(a, scale) + coefficient(b, scale), scale);
}

/** a − b, exact. */
export function subtract(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(places(a), places(b));
  return render(coefficient(a, scale) - coefficient(b, scale), scale);
}

/** Negative, zero or positive as a is less than, equal to or greater than b. */
export function compare(a: Decimal, b: Decimal): number {
  const left = Number(a);
  const right = Number(b);
  // Doubles order all decimals of up to 15 digits; ask BigInt only about ties.
  if (left !== right) return left - right;
  if (a === b) return 0;
  const scale = Math.max(places(a), places(b));
  const difference = coefficient(a, scale) - coefficient(b, scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** -1, 0 or 1. Minus zero is zero. */
export function sign(value: Decimal): -1 | 0 | 1 {
  if (!/[1-9]/.test(value)) return 0;
  return value.startsWith('-') ? -1 : 1;
}

function coefficient(value: Decimal, scale: number): bigint {
  const point = value.indexOf('.');
  const digits = point < 0 ? value : value.slice(0, point) + value.slice(point + 1);
  return BigInt(digits + '0'.repeat(scale - places(value)));
}

function render(coefficient: bigint, scale: number): Decimal {
  if (scale <= 0) return String(coefficient * 10n ** BigInt(-scale)) as Decimal;
  const negative = coefficient < 0n;
  const digits = String(negative ? -coefficient : coefficient).padStart(scale + 1, '0');
  const cut = digits.length - scale;
  return `${negative ? '-' : ''}${digits.slice(0, cut)}.${digits.slice(cut)}` as Decimal;
}
