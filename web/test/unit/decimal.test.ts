import { describe, expect, it } from 'vitest';
import type { Decimal } from '../../src/market/decimal.ts';
import {
  add,
  compare,
  decimal,
  places,
  sign,
  significantPlaces,
  subtract,
} from '../../src/market/decimal.ts';

const d = (text: string): Decimal => {
  const value = decimal(text);
  if (value === null) throw new Error(`${text} is no decimal`);
  return value;
};

describe('decimal', () => {
  it('keeps plain text as it is', () => {
    for (const text of ['0', '187.420', '-0.05', '100000000000000000000.1']) {
      expect(d(text)).toBe(text);
    }
  });

  it('writes exponents out', () => {
    expect(d('1.5e3')).toBe('1500');
    expect(d('1.56E-5')).toBe('0.0000156');
    expect(d('-2e0')).toBe('-2');
  });

  it('refuses what is no number', () => {
    for (const text of ['', 'NaN', 'Infinity', '1e999', '--1', '1.', '.1', '1,5', ' 1', '0x1']) {
      expect(decimal(text), text).toBeNull();
    }
  });
});

describe('arithmetic', () => {
  it('has no float noise', () => {
    expect(add(d('0.1'), d('0.2'))).toBe('0.3');
    expect(subtract(d('187.42'), d('187.4'))).toBe('0.02');
    expect(subtract(d('1.00'), d('1.01'))).toBe('-0.01');
    expect(add(d('-0.5'), d('0.50'))).toBe('0.00');
  });

  it('sums a million small sizes exactly', () => {
    let sum = d('0');
    for (let i = 0; i < 100_000; i++) sum = add(sum, d('0.00000001'));
    expect(sum).toBe('0.00100000');
  });

  it('orders', () => {
    expect(compare(d('2'), d('10'))).toBeLessThan(0);
    expect(compare(d('-2'), d('-10'))).toBeGreaterThan(0);
    expect(compare(d('187.4'), d('187.40'))).toBe(0);
    expect(compare(d('0.1000000000000000001'), d('0.1000000000000000002'))).toBeLessThan(0);
  });

  it('knows signs and places', () => {
    expect([sign(d('-0.00')), sign(d('0')), sign(d('-0.01')), sign(d('7'))]).toEqual([0, 0, -1, 1]);
    expect([places(d('7')), places(d('7.10'))]).toEqual([0, 2]);
    expect(['7', '700', '7.10', '7.00', '0.00100'].map((v) => significantPlaces(d(v)))).toEqual([
      0, 0, 1, 0, 3,
    ]);
  });
});
