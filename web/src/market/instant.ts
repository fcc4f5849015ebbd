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
