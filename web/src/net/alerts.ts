import type { AlertRule, FiredAlert, FiredPage, Severity, ToldAlert } from '../market/alert.ts';
import type { Exact, ExactObject } from '../market/exact.ts';
import * as f from './fields.ts';

/** Reads the answer of `v1/alerts`. Throws `DecodeError` when it is something else, as all of these do. */
export function readRules(value: Exact): AlertRule[] {
  return f.asArray(f.asObject(value, 'rules')['rules'], 'rules').map(readRule);
}

/** Reads one rule. */
export function readRule(value: Exact): AlertRule {
  const o = f.asObject(value, 'rule');
  return {
    id: f.text(o, 'id'),
    name: f.text(o, 'name'),
    symbols: texts(o, 'symbols'),
    when: f.text(o, 'when'),
    until: f.textOr(o, 'until', ''),
    for: span(f.textOr(o, 'for', '')),
    cooldown: span(f.textOr(o, 'cooldown', '')),
    once: o['once'] === true,
    severity: severity(o),
    text: f.textOr(o, 'text', ''),
    session: f.textOr(o, 'session', ''),
    expires: f.textOr(o, 'expires', ''),
    webhooks: texts(o, 'webhooks'),
    off: o['off'] === true,
  };
}

/** Writes a rule as the server takes it: what was not given is left out. */
export function writeRule(rule: AlertRule): string {
  const given = Object.entries(rule).filter(
    ([, value]: [string, unknown]) =>
      value !== '' && value !== false && !(Array.isArray(value) && value.length === 0),
  );
  return JSON.stringify(Object.fromEntries(given));
}

/** Reads the answer of `v1/alerts/history`. */
export function readFired(value: Exact): FiredPage {
  const o = f.asObject(value, 'history');
  return {
    alerts: f.asArray(o['alerts'], 'alerts').map(fired),
    before: o['before'] === undefined ? null : f.count(o, 'before'),
  };
}

function fired(value: Exact): FiredAlert {
  const o = f.asObject(value, 'alert');
  return {
    n: f.count(o, 'n'),
    id: f.text(o, 'id'),
    rule: f.text(o, 'rule'),
    name: f.textOr(o, 'name', ''),
    symbol: f.text(o, 'symbol'),
    price: f.priceOrNull(o, 'price'),
    time: f.time(o, 't'),
    text: f.text(o, 'text'),
    severity: severity(o),
    acknowledged: f.timeOrNull(o, 'acknowledged'),
  };
}

/** Reads an alert of the stream. Servers of the first days left out the id. */
export function told(o: ExactObject): ToldAlert {
  const symbol = f.text(o, 'S');
  return {
    id: f.textOr(o, 'id', '') || `:${symbol}:${f.textOr(o, 'seq', '0')}`,
    symbol,
    price: f.priceOrNull(o, 'p'),
    time: f.time(o, 't'),
    text: f.text(o, 'msg'),
  };
}

/** A word that this page does not know counts as the usual one. */
function severity(o: ExactObject): Severity {
  const word = f.textOr(o, 'severity', '');
  return word === 'info' || word === 'critical' ? word : 'warning';
}

function texts(o: ExactObject, key: string): string[] {
  return f.asArray(o[key], key).filter((value) => typeof value === 'string');
}

/** `5m0s` as people write it, `5m`. */
function span(text: string): string {
  return text.replace(/m0s$/, 'm').replace(/h0m$/, 'h');
}
