import { describe, expect, it } from 'vitest';
import type { Decimal } from '../../src/market/decimal.ts';
import * as f from '../../src/market/format.ts';

const en = f.numberStyle('en-US');
const de = f.numberStyle('de-DE');
const d = (text: string): Decimal => text as Decimal;

describe('price', () => {
  it('has the decimals of the instrument, or more when there are more', () => {
    expect(f.price(d('187.4'), 2, en)).toBe('187.40');
    expect(f.price(d('187'), 2, en)).toBe('187.00');
    expect(f.price(d('187.4205'), 2, en)).toBe('187.4205');
    expect(f.price(d('42'), 0, en)).toBe('42');
    expect(f.price(d('61685.99000000'), 2, en)).toBe('61,685.99');
    expect(f.price(d('100.000'), 0, en)).toBe('100');
  });

  it('groups and points as the language does', () => {
    expect(f.price(d('1234567.8'), 2, en)).toBe('1,234,567.80');
    expect(f.price(d('1234567.8'), 2, de)).toBe('1.234.567,80');
    expect(f.price(d('123'), 0, en)).toBe('123');
  });

  it('never shows a minus zero', () => {
    expect(f.price(d('-0.00'), 2, en)).toBe('0.00');
    expect(f.signed(d('-0'), 2, en)).toBe('0.00');
    expect(f.percent(-0.001, en)).toBe('0.00%');
    expect(f.percent(-0, en)).toBe('0.00%');
  });

  it('shows signs', () => {
    expect(f.signed(d('1.2'), 2, en)).toBe('+1.20');
    expect(f.signed(d('-0.05'), 2, en)).toBe('−0.05');
    expect(f.percent(0.637, en)).toBe('+0.64%');
    expect(f.percent(-12.5, de)).toBe('−12,50%');
  });
});

describe('move', () => {
  it('is exact in the difference', () => {
    expect(f.move(d('187.42'), d('186.31'))).toEqual({
      difference: '1.11',
      percent: expect.closeTo(0.5958, 4) as number,
      sign: 1,
    });
  });

  it('is nothing without a base', () => {
    expect(f.move(d('1'), null)).toBeNull();
    expect(f.move(null, d('1'))).toBeNull();
    expect(f.move(d('1'), d('0.00'))).toBeNull();
  });

  it('goes up from a negative price when the price rises', () => {
    expect(f.move(d('-30'), d('-37.63'))?.percent).toBeGreaterThan(0);
  });
});

describe('tabTitle', () => {
  it('is as promised', () => {
    expect(f.tabTitle('AAPL', d('187.42'), d('186.31'), 2, en)).toBe('187.42 ▲0.6% AAPL');
    expect(f.tabTitle('AAPL', d('186.00'), d('186.31'), 2, en)).toBe('186.00 ▼0.2% AAPL');
    expect(f.tabTitle('AAPL', d('186.31'), d('186.31'), 2, en)).toBe('186.31 0.0% AAPL');
    expect(f.tabTitle('AAPL', d('186.31'), null, 2, en)).toBe('186.31 AAPL');
    expect(f.tabTitle('AAPL', null, null, 2, en)).toBe('AAPL · Tapedeck');
  });
});

describe('volume, age, delay, countdown', () => {
  it('are short', () => {
    expect(
      ['0', '950', '1234', '15000', '4567890', '0.015604', '2.50', '1e12'].map((v) =>
        f.volume(d(v), en),
      ),
    ).toEqual(['0', '950', '1.23K', '15K', '4.57M', '0.0156', '2.5', '1T']);
    expect([0, 999, 12_345, 180_000, 7.3e6, 4.4e8].map(f.age)).toEqual([
      'now',
      'now',
      '12s',
      '3m',
      '2h',
      '5d',
    ]);
    expect([0.2, 38.4, 1234, 90_000].map(f.delay)).toEqual(['<1 ms', '38 ms', '1.2 s', '1m']);
    expect([23, 725.9, 11099].map(f.countdown)).toEqual(['0:23', '12:05', '3:04:59']);
  });

  it('never show what is not a number', () => {
    const all = [
      f.age(NaN),
      f.delay(NaN),
      f.delay(null),
      f.countdown(NaN),
      f.countdown(-5),
      f.percent(NaN, en),
      f.percent(Infinity, en),
      f.percent(null, en),
      f.price(null, 2, en),
      f.signed(null, 2, en),
      f.volume(null, en),
    ];
    for (const text of all) expect(text).not.toMatch(/NaN|undefined|null|Infinity/);
  });
});

describe('step', () => {
  it('is the smallest change of a price', () => {
    expect([0, 2, 8, 99].map(f.step)).toEqual([1, 0.01, 0.00000001, 1e-12]);
  });
});
