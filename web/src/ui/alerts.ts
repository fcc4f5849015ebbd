import type { AlertRule, Severity } from '../market/alert.ts';

/** A rule as it stands in the fields of the form. */
export interface Draft {
  name: string;
  symbols: string;
  when: string;
  text: string;
  for: string;
  cooldown: string;
  until: string;
  severity: Severity;
  webhooks: string;
}

export const severities: readonly (readonly [Severity, string])[] = [
  ['info', 'Info'],
  ['warning', 'Warning'],
  ['critical', 'Critical'],
];

export function severityWord(severity: Severity): string {
  return severities.find(([id]) => id === severity)?.[1] ?? severity;
}

/** `All symbols`, or the patterns. */
export function symbolsWord(symbols: readonly string[]): string {
  return symbols.includes('*') ? 'All symbols' : symbols.join(', ');
}

export function draftOf(rule: AlertRule): Draft {
  const { name, when, text, for: held, cooldown, until, severity } = rule;
  const [symbols, webhooks] = [rule.symbols.join(', '), rule.webhooks.join('\n')];
  return { name, symbols, when, text, for: held, cooldown, until, severity, webhooks };
}

/** The rule that a draft makes of another one; what the form does not show stays. */
export function ruleOf(draft: Draft, rule: AlertRule): AlertRule {
  return {
    ...rule,
    name: draft.name.trim(),
    symbols: words(draft.symbols),
    when: draft.when.trim(),
    text: draft.text.trim(),
    for: draft.for.replaceAll(' ', ''),
    cooldown: draft.cooldown.replaceAll(' ', ''),
    until: draft.until.trim(),
    severity: draft.severity,
    webhooks: words(draft.webhooks),
  };
}

function words(text: string): string[] {
  return text.split(/[\s,;]+/).filter((word) => word !== '');
}

/** What the server found wrong with a rule, and the field that it is about, if it says so. */
export function wrongOf(detail: string): {
  readonly field: keyof Draft | null;
  readonly text: string;
} {
  const found = /^(?:bad rule: )?(?:bad rule "(?:[^"\\]|\\.)*": )?(?:(\w+): )?([^]*)$/.exec(detail);
  const [, word, rest = ''] = found ?? [];
  const field = fields.find((f) => f === word) ?? null;
  if (field !== null) return { field, text: rest };
  return { field, text: word === undefined ? rest || detail : `${word}: ${rest}` };
}

const fields: readonly (keyof Draft)[] = [
  'name',
  'symbols',
  'when',
  'text',
  'for',
  'cooldown',
  'until',
  'severity',
  'webhooks',
];

/** The language in short: what to write, and what it means. */
export const language: readonly (readonly [what: string, means: string])[] = [
  ['price > 100 and size >= 50', 'numbers, + − * /, comparisons, and, or, not'],
  ['price, size, bid, ask, spread, mid', 'of the newest trade and quote'],
  ['change("10s")', 'per cent above the price ten seconds ago'],
  ['high("1m"), low("1m"), vwap("1m")', 'of the trades of the last minute'],
  ['volume("1m"), count("1m")', 'their sizes, and how many they are'],
  ['sma(20, "1m"), ema(…), rsi(14, "1m"), atr(…)', 'of bars'],
  ['crosses_up(price, 100)', 'goes above; also crosses, crosses_down'],
  ['since_open(), prev_close()', 'of the regular session'],
  ['age() > 30', 'no tick for thirty seconds'],
  ['gap()', 'ticks may be missing before this one'],
  ['abs(x), min(x, y), max(x, y)', ''],
];
