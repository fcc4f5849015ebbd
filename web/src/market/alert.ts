import type { Decimal } from './decimal.ts';
import type { Instant } from './instant.ts';

/** How much an alert matters. */
export type Severity = 'info' | 'warning' | 'critical';

/** What the server watches for, as it keeps it. Texts that were not given are empty; lengths of time are such as `10s`. */
export interface AlertRule {
  /** Empty for one that the server has not seen yet. */
  readonly id: string;
  readonly name: string;
  /** Patterns such as `SIM:AAPL`, `SIM:*`, `AAPL` or `*`. */
  readonly symbols: readonly string[];
  readonly when: string;
  readonly until: string;
  readonly for: string;
  readonly cooldown: string;
  readonly once: boolean;
  readonly severity: Severity;
  readonly text: string;
  readonly session: string;
  readonly expires: string;
  readonly webhooks: readonly string[];
  readonly off: boolean;
}

/** An alert as the stream tells it. `id` is made of the rule, the symbol and the number of the trade. */
export interface ToldAlert {
  readonly id: string;
  readonly symbol: string;
  /** Null when there was no trade yet. */
  readonly price: Decimal | null;
  readonly time: Instant;
  readonly text: string;
}

/** An alert with all that the server noted of it. */
export interface FiredAlert extends ToldAlert {
  /** 1, 2, 3 … in the order in which they were fired; null until the server has said. */
  readonly n: number | null;
  /** The rule's id, and its name at that time. */
  readonly rule: string;
  readonly name: string;
  readonly severity: Severity;
  /** When somebody had seen it. */
  readonly acknowledged: Instant | null;
}

/** Alerts of the past, newest first. `before` gets the next page; null when there is none. */
export interface FiredPage {
  readonly alerts: readonly FiredAlert[];
  readonly before: number | null;
}

/** A rule of which nothing was said yet. */
export const blank: AlertRule = {
  id: '',
  name: '',
  symbols: ['*'],
  when: '',
  until: '',
  for: '',
  cooldown: '',
  once: false,
  severity: 'warning',
  text: '',
  session: '',
  expires: '',
  webhooks: [],
  off: false,
};

/** The rule that everybody begins with: two per cent within ten seconds. */
export const tutorial: AlertRule = {
  ...blank,
  id: 'move-2-10s',
  name: '2% within 10 seconds',
  when: 'abs(change("10s")) >= 2',
  text: '{{abs(change("10s"))}}% move!',
};

/** The tutorial's rule among others: by its id, or by what it watches for whatever it is called. */
export function findTutorial(rules: readonly AlertRule[]): AlertRule | null {
  const same = ({ when, symbols }: AlertRule): boolean =>
    when.replaceAll(' ', '') === tutorial.when.replaceAll(' ', '') && symbols.includes('*');
  return rules.find(same) ?? rules.find(({ id }) => id === tutorial.id) ?? null;
}
