import type { AlertRule, FiredAlert, FiredPage, ToldAlert } from '../market/alert.ts';
import { findTutorial, tutorial } from '../market/alert.ts';
import { toMs } from '../market/instant.ts';
import type { Line } from '../net/link.ts';
import { Link } from '../net/link.ts';
import type { Rest } from '../net/rest.ts';
import { RefusedError } from '../net/rest.ts';
import type { Message } from '../net/wire.ts';

export type AlertSource = Pick<Rest, 'rules' | 'putRule' | 'removeRule' | 'fired' | 'acknowledge'>;

export interface AlertsOptions {
  readonly rest: AlertSource;
  readonly dial: () => Line;
}

/** Alerts of the past that are fetched at once. */
const pageSize = 50;

/** Alerts that are held at the most; a rule may fire for thousands of symbols at once. */
const most = 1_000;

/** Milliseconds between two words to those who listen, however many alerts come. */
const pause = 3_000;

/** Milliseconds after an alert came until its number is asked for. */
const settle = 400;

/** Milliseconds until what was not answered is asked again. */
const retry = 2_000;

/** Milliseconds that an alert stays in view by itself. */
const shownFor = 10_000;

/**
 * The rules, and what they fired. The stream of alerts is one of its own: it has a
 * cursor, so that an alert is not missed when the line breaks, and it is there in
 * the past, too, when the watch list has none.
 */
export class Alerts {
  rules = $state.raw<readonly AlertRule[]>([]);
  /** Newest first; only kept while somebody looks. */
  fired = $state.raw<readonly FiredAlert[]>([]);
  /** What gets the next page; null when there is none. */
  older = $state<number | null>(null);
  phase = $state<'loading' | 'ready' | 'failed' | 'none'>('loading');
  problem = $state('');
  /** Alerts that came since somebody looked. */
  unseen = $state(0);
  /** The newest alert while it is to be in view, and how many came together with it. */
  shown = $state.raw<{ readonly alert: FiredAlert; readonly more: number } | null>(null);
  /** What is read out. */
  spoken = $state('');
  /** The rule in the form; null when there is no form. */
  editing = $state.raw<AlertRule | null>(null);
  /** The rule that was removed last, to bring it back. */
  removed = $state.raw<AlertRule | null>(null);
  /** Why rules cannot be changed from here; empty as far as is known. */
  refused = $state('');
  /** Why the last change outside the form was not made. */
  wrong = $state('');
  busy = $state(false);

  private readonly rest: AlertSource;
  private readonly link: Link;
  private readonly listeners = new Set<(alerts: readonly FiredAlert[]) => void>();
  private open = false;
  private learning = false;
  /** Rises with each opening; answers to questions from before it do not count. */
  private openings = 0;
  /** What came since the last word. */
  private waiting: FiredAlert[] = [];
  private speaking: ReturnType<typeof setTimeout> | undefined;
  private asking: ReturnType<typeof setTimeout> | undefined;
  private hiding: ReturnType<typeof setTimeout> | undefined;

  constructor({ rest, dial }: AlertsOptions) {
    this.rest = rest;
    this.link = new Link({
      dial,
      want: { trades: [], quotes: [], alerts: ['*'], mode: 'every' },
      owner: {
        onMessages: this.take,
        onState: () => undefined,
        onReload: () => {
          this.link.start(null);
          if (this.open) this.refresh();
        },
      },
    });
  }

  /** The tutorial's rule, if there is one. */
  get tutorial(): AlertRule | null {
    return findTutorial(this.rules);
  }

  start(): void {
    this.link.start(null);
  }

  stop(): void {
    this.link.stop();
    this.leave();
    clearTimeout(this.speaking);
    clearTimeout(this.hiding);
    this.speaking = undefined;
  }

  hurry(): void {
    this.link.hurry();
  }

  /** Calls `told` with the alerts that came, at most every three seconds. Returns how to end that. */
  listen(told: (alerts: readonly FiredAlert[]) => void): () => void {
    this.listeners.add(told);
    return () => this.listeners.delete(told);
  }

  /** Somebody looks at the page of alerts. */
  look(): void {
    this.open = true;
    this.unseen = 0;
    this.hide();
    void this.load();
  }

  /** Nobody does any more. */
  leave(): void {
    this.open = false;
    this.openings++;
    this.editing = null;
    this.removed = null;
    this.wrong = '';
    clearTimeout(this.asking);
    this.asking = undefined;
  }

  /** Takes the alert out of view. */
  hide(): void {
    clearTimeout(this.hiding);
    this.shown = null;
  }

  /** Keeps the alert in view while somebody is at it. */
  hold(held: boolean): void {
    clearTimeout(this.hiding);
    if (!held) {
      this.hiding = setTimeout(() => {
        this.shown = null;
      }, shownFor);
    }
  }

  /** Loads rules and history. */
  async load(): Promise<void> {
    const opening = ++this.openings;
    try {
      const [rules, page] = await Promise.all([this.rest.rules(), this.rest.fired(null, pageSize)]);
      if (opening !== this.openings) return;
      this.rules = rules;
      this.merge(page);
      this.phase = 'ready';
      this.problem = '';
      if (this.fired.some(({ n }) => n === null)) this.refresh(retry);
    } catch (error) {
      if (opening !== this.openings) return;
      this.problem = reason(error);
      // A server that has no such part does not know the address.
      if (error instanceof RefusedError && error.status === 404) this.phase = 'none';
      else if (this.phase !== 'ready') this.phase = 'failed';
      if (this.phase !== 'none') this.refresh(retry);
    }
  }

  /** Loads older alerts. */
  async more(): Promise<void> {
    const { older, openings } = this;
    if (older === null || this.busy) return;
    await this.change(async () => {
      const page = await this.rest.fired(older, pageSize);
      if (openings !== this.openings) return;
      this.fired = [...this.fired, ...page.alerts];
      this.older = page.before;
    });
  }

  /** Adds or replaces a rule. Returns what was wrong with it, or nothing. */
  async save(rule: AlertRule): Promise<string> {
    return this.change(async () => {
      const kept = await this.rest.putRule(rule);
      const others = this.rules.filter(({ id }) => id !== kept.id);
      this.rules = [...others, kept].sort((a, b) => (a.id < b.id ? -1 : 1));
    });
  }

  /** Turns a rule on or off. */
  async turn(rule: AlertRule): Promise<void> {
    this.wrong = await this.save({ ...rule, off: !rule.off });
  }

  /** Turns the tutorial's rule on or off; it is made when it is not there. */
  async turnTutorial(): Promise<void> {
    const there = this.tutorial;
    if (there !== null) await this.turn(there);
    else this.wrong = await this.save(tutorial);
  }

  async remove(rule: AlertRule): Promise<void> {
    this.wrong = await this.change(async () => {
      await this.rest.removeRule(rule.id);
      this.rules = this.rules.filter(({ id }) => id !== rule.id);
      this.removed = rule;
    });
  }

  /** Brings back the rule that was removed last. */
  async restore(): Promise<void> {
    const { removed } = this;
    if (removed === null) return;
    this.wrong = await this.save(removed);
    if (this.wrong === '') this.removed = null;
  }

  /** Notes that somebody has seen an alert. */
  async acknowledge({ n }: FiredAlert): Promise<void> {
    if (n === null) return;
    this.wrong = await this.change(async () => {
      await this.rest.acknowledge(n);
      const ms = Date.now();
      const now = { s: Math.floor(ms / 1000), ns: (ms % 1000) * 1_000_000 };
      this.fired = this.fired.map((a) => (a.n === n ? { ...a, acknowledged: now } : a));
    });
  }

  private async change(make: () => Promise<void>): Promise<string> {
    this.busy = true;
    try {
      await make();
      this.refused = '';
      return '';
    } catch (error) {
      const forbidden = error instanceof RefusedError && error.status === 403;
      if (forbidden) this.refused = error.message;
      return reason(error);
    } finally {
      this.busy = false;
    }
  }

  private readonly take = (messages: readonly Message[]): void => {
    const came = messages
      .flatMap((m) => (m.type === 'alert' ? [this.name(m.alert)] : []))
      .reverse();
    const [newest] = came;
    if (newest === undefined) return;
    this.waiting.unshift(...came.slice(0, most - this.waiting.length));
    if (this.open) {
      const ids = new Set(came.map(({ id }) => id));
      this.fired = [...came, ...this.fired.filter(({ id }) => !ids.has(id))].slice(0, most);
      this.refresh();
    } else {
      this.unseen += came.length;
      const before = this.shown === null ? 0 : this.shown.more + 1;
      this.shown = { alert: newest, more: before + came.length - 1 };
      this.hold(false);
      if (newest.name === '') void this.learn();
    }
    this.speak();
  };

  /** The stream tells the least; the rest is what is known of the rule. */
  private name(alert: ToldAlert): FiredAlert {
    const [id = ''] = alert.id.split(':');
    const rule = this.rules.find((r) => r.id === id);
    const { name = '', severity = 'warning' } = rule ?? {};
    return { ...alert, n: null, rule: id, name, severity, acknowledged: null };
  }

  /** Asks for the rules once one fired that is not known: nobody looked at the page of alerts since it was made. */
  private async learn(): Promise<void> {
    if (this.learning) return;
    this.learning = true;
    try {
      this.rules = await this.rest.rules();
      const { shown } = this;
      if (shown !== null) this.shown = { ...shown, alert: this.name(shown.alert) };
    } catch {
      // The name of the rule is a comfort; the alert says what it says without it.
    } finally {
      this.learning = false;
    }
  }

  /** Asks for the newest alerts soon: they have numbers and names then. */
  private refresh(after = settle): void {
    // Not put off by the next one: a rule may fire without end.
    this.asking ??= setTimeout(() => {
      this.asking = undefined;
      void this.load();
    }, after);
  }

  /** Puts the newest page before what is known already, or in its place when there is a hole between the two. */
  private merge(page: FiredPage): void {
    const oldest = page.alerts.at(-1)?.n ?? 0;
    const rest = this.fired.filter(({ n }) => n !== null && n < oldest);
    const joined = rest[0]?.n === oldest - 1;
    const ids = new Set(page.alerts.map(({ id }) => id));
    // What the stream told in the meantime may not be noted yet.
    const last = page.alerts[0];
    const fresh = this.fired.filter(
      ({ n, id, time }) =>
        n === null && !ids.has(id) && (last === undefined || toMs(time) >= toMs(last.time)),
    );
    const kept = [...fresh, ...page.alerts, ...(joined ? rest : [])];
    this.fired = kept.slice(0, most);
    if (!joined) this.older = page.before;
    if (kept.length > most) this.older = this.fired.at(-1)?.n ?? null;
  }

  private speak(): void {
    if (this.speaking !== undefined) return;
    const alerts = this.waiting;
    const [newest] = alerts;
    if (newest === undefined) return;
    this.waiting = [];
    const words = `${newest.symbol}: ${newest.text}`;
    this.spoken =
      alerts.length === 1 ? `Alert. ${words}` : `${String(alerts.length)} alerts. ${words}`;
    for (const listener of this.listeners) listener(alerts);
    this.speaking = setTimeout(() => {
      this.speaking = undefined;
      this.speak();
    }, pause);
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
