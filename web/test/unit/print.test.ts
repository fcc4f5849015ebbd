import { describe, expect, it } from 'vitest';
import type { Decimal } from '../../src/market/decimal.ts';
import type { Trade } from '../../src/market/types.ts';
import { Print, printed } from '../../src/state/print.svelte.ts';

const trade = (seq: number): Trade => ({
  symbol: 'SIM:A',
  price: '1' as Decimal,
  size: '1' as Decimal,
  time: { s: seq, ns: 0 },
  seq,
  taker: '',
  received: null,
});

const seqs = (print: Print): number[] => print.trades.map((t) => t.seq);

describe('Print', () => {
  it('joins history and stream, each trade once, whichever comes first', () => {
    const streamFirst = new Print();
    streamFirst.add(trade(5));
    streamFirst.add(trade(6));
    streamFirst.seed([trade(6), trade(5), trade(4), trade(3)]);
    streamFirst.draw(0);
    expect(seqs(streamFirst)).toEqual([6, 5, 4, 3]);

    const historyFirst = new Print();
    historyFirst.seed([trade(6), trade(5), trade(4)]);
    for (const seq of [5, 6, 7]) historyFirst.add(trade(seq));
    historyFirst.draw(0);
    expect(seqs(historyFirst)).toEqual([7, 6, 5, 4]);
  });

  it('keeps the newest, and shows them no faster than one can read', () => {
    const print = new Print();
    for (let i = 1; i <= 100; i++) print.add(trade(i));
    expect(print.draw(1000)).toBe(true);
    expect(print.trades).toHaveLength(printed);
    print.add(trade(101));
    expect(print.draw(1050)).toBe(false);
    expect(seqs(print)[0]).toBe(100);
    expect(print.draw(1200)).toBe(true);
    expect(seqs(print)[0]).toBe(101);
  });
});
