/** A moment in UTC with nanoseconds, which a JavaScript Date cannot hold. */
export interface Instant {
  /** Whole seconds since 1970-01-01T00:00:00Z. */
  readonly s: number;
  /** Nanoseconds within the second, 0 to 999,999,999. */
  readonly ns: number;
}

const pattern =
  /^([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9})[0-9]*)?([Zz]|[+-][0-9]{2}:[0-9]{2})$/;

/** Reads RFC 3339 text. Null when it is not a time. */
export function instant(text: string): Instant | null {
  const parts = pattern.exec(text);
  if (!parts) return null;
  const [, date = '', clock = '', fraction = '', zone = ''] = parts;
  const ms = Date.parse(`${date}T${clock}${zone.toUpperCase()}`);
  if (Number.isNaN(ms)) return null;
  return { s: ms / 1000, ns: fraction === '' ? 0 : Number(fraction.padEnd(9, '0')) };
}

/** Negative, zero or positive as a is before, at or after b. */
export function compareInstants(a: Instant, b: Instant): number {
  return a.s - b.s || a.ns - b.ns;
}

/** Milliseconds since 1970, with a fraction; exact to about a microsecond. */
export function toMs(moment: Instant): number {
  return moment.s * 1000 + moment.ns / 1e6;
}

/** RFC 3339 text in UTC for whole seconds since 1970, as the REST API wants it. */
export function rfc3339(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** RFC 3339 text in UTC with as many digits of the second as there are. */
export function writeInstant({ s, ns }: Instant): string {
  const whole = new Date(s * 1000).toISOString().slice(0, 19);
  const fraction = ns === 0 ? '' : `.${String(ns).padStart(9, '0').replace(/0+$/, '')}`;
  return `${whole}${fraction}Z`;
}

/** The moment so many milliseconds after 1970. */
export function fromMs(ms: number): Instant {
  const s = Math.floor(ms / 1000);
  return { s, ns: Math.round((ms - s * 1000) * 1000) * 1000 };
}

/** The first seconds that a year of four digits cannot write. */
const yearTenThousand = 253_402_300_800;

/**
 * Reads a moment as people and other programs write it: RFC 3339, a date (its
 * midnight in UTC), or an epoch in seconds, milliseconds, microseconds or
 * nanoseconds, told apart by their size. Null when it is none of these.
 */
export function moment(text: string): Instant | null {
  const trimmed = text.trim();
  const [date = ''] = /^[0-9]{4}-[0-9]{2}-[0-9]{2}/.exec(trimmed) ?? [];
  // The platform takes February 30 for March 2.
  if (date !== '' && !exists(date)) return null;
  if (date !== '' && date === trimmed) return instant(`${date}T00:00:00Z`);
  if (!/^[0-9]{1,19}$/.test(trimmed)) return instant(trimmed);
  const n = BigInt(trimmed);
  const unit =
    n < 100_000_000_000n ? 1n : n < 10n ** 14n ? 1000n : n < 10n ** 17n ? 10n ** 6n : 10n ** 9n;
  const s = Number(n / unit);
  if (s >= yearTenThousand) return null;
  return { s, ns: Number((n % unit) * (1_000_000_000n / unit)) };
}

function exists(date: string): boolean {
  const at = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(date);
}
