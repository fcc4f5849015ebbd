import { describe, expect, it } from 'vitest';
import { readExact } from '../../src/market/exact.ts';

describe('readExact', () => {
  it('keeps the digits of numbers', () => {
    expect(readExact('{"p":187.420,"s":0.00015604,"n":[1e3,-0.0,12345678901234567890]}')).toEqual({
      p: '187.420',
      s: '0.00015604',
      n: ['1e3', '-0.0', '12345678901234567890'],
    });
  });

  it('reads what JSON.parse reads', () => {
    for (const text of [
      'null',
      ' true ',
      'false',
      '""',
      '[]',
      '{}',
      '[ ]',
      '{ }',
      '"a\\"b\\\\c\\u00e9\\n"',
      '{"a":{"b":[{"c":"d"},null]},"e":"ü €"}',
      '\t[\n"x" , "y"\r]',
      '"ends with a backslash \\\\"',
    ]) {
      expect(readExact(text)).toEqual(JSON.parse(text));
    }
  });

  it('refuses what is not JSON, naming the place', () => {
    for (const text of [
      '',
      '{',
      '[1,]',
      '{"a" 1}',
      '{"a":1,}',
      '01',
      '+1',
      '.5',
      '1.',
      'NaN',
      'tru',
      '"open',
      '"bad \\x"',
      '"a\nb"',
      '[1] 2',
      "{'a':1}",
      '{a:1}',
    ]) {
      expect(() => readExact(text), text).toThrow(/not JSON: want .* at character \d+/);
    }
  });

  it('refuses nesting that would exhaust the stack', () => {
    expect(() => readExact('['.repeat(100_000))).toThrow(/levels/);
  });

  it('does not let a key change the object', () => {
    const o = readExact('{"__proto__":{"polluted":true},"a":1}');
    expect(Object.getPrototypeOf(o)).toBe(Object.prototype);
    expect(o).toEqual({ a: '1' });
  });
});
