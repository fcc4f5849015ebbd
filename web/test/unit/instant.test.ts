import { describe, expect, it } from 'vitest';
import { compareInstants, instant, rfc3339, toMs } from '../../src/market/instant.ts';

describe('instant', () => {
  it('keeps nanoseconds', () => {
    expect(instant('2026-11-23T10:00:00.123456789Z')).toEqual({ s: 1795428000, ns: 123456789 });
    expect(instant('2026-11-23T10:00:00.5Z')).toEqual({ s: 1795428000, ns: 500000000 });
    expect(instant('2026-11-23T10:00:00Z')).toEqual({ s: 1795428000, ns: 0 });
  });

  it('reads offsets', () => {
    expect(instant('2026-11-23T05:00:00-05:00')).toEqual(instant('2026-11-23T10:00:00Z'));
  });

  it('refuses what is no time', () => {
    for (const text of ['', 'now', '2026-11-23', '2026-13-01T00:00:00Z', '2026-11-23T10:00:00']) {
      expect(instant(text), text).toBeNull();
    }
  });

  it('orders by nanoseconds whatever the number of digits', () => {
    const a = instant('2026-11-23T10:00:00.1Z');
    const b = instant('2026-11-23T10:00:00.100000001Z');
    expect(a && b && compareInstants(a, b)).toBe(-1);
  });

  it('goes back to text and to milliseconds', () => {
    expect(rfc3339(1795428000)).toBe('2026-11-23T10:00:00Z');
    expect(toMs({ s: 1, ns: 500_000 })).toBe(1000.5);
  });
});
