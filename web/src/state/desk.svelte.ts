import { TimeLabels } from '../chart/labels.ts';
import type { Clock, Speed, Stretch } from '../market/clock.ts';
import type { Instant } from '../market/instant.ts';
import type { Interval } from '../market/interval.ts';
import { intervalOf, intervals } from '../market/interval.ts';
import type { NumberStyle } from '../market/format.ts';
import { tabTitle } from '../market/format.ts';
import type { Line } from '../net/link.ts';
import type { Rest } from '../net/rest.ts';
import type { Server } from '../net/urls.ts';
import { Alerts } from './alerts.svelte.ts';
import { FeedBoard } from './feeds.svelte.ts';
import { Frame } from './frame.ts';
import { LiveLine, livePoints } from './live.svelte.ts';
import { Coverage, ReceiptView } from './ledger.svelte.ts';
import { Player } from './player.svelte.ts';
import { Prefs } from './prefs.svelte.ts';
import type { Page, Route, View } from './route.ts';
import { nowhere, readRoute, writeRoute } from './route.ts';
import type { Row } from './row.svelte.ts';
import { Session } from './session.svelte.ts';
import { Watch } from './watch.svelte.ts';

export interface DeskOptions {
  readonly server: Server;
  readonly rest: Rest;
  readonly dial: () => Line;
  readonly dialAt: (from: Instant, speed: Speed) => Line;
  readonly style: NumberStyle;
  readonly storage: Storage | null;
}

/** Everything on the screen that is not pixels: what is watched, what is charted, and how. */
export class Desk {
  readonly prefs: Prefs;
  readonly watch: Watch;
  readonly session: Session;
  readonly player: Player;
  readonly coverage: Coverage;
  readonly board: FeedBoard;
  readonly alerts: Alerts;
  readonly frame = new Frame();
  readonly style: NumberStyle;
  route = $state.raw<Route>(nowhere);
  row = $state.raw<Row | null>(null);

  private readonly options: DeskOptions;
  private asked: Interval | null = null;
  /** The symbol whose history was measured. */
  private measured = '';
  private title = 'Tapedeck';
  private titleTimer: ReturnType<typeof setInterval> | undefined;

  constructor(options: DeskOptions) {
    this.options = options;
    const { rest, dial, dialAt, style } = options;
    this.style = style;
    this.prefs = new Prefs(options.storage);
    this.watch = new Watch({ rest, dial, frame: this.frame, style });
    const { frame, watch } = this;
    const onClock = (clock: Clock): void => {
      this.player.hear(clock);
    };
    this.session = new Session({ rest, dial, dialAt, frame, onClock });
    const { session } = this;
    this.player = new Player({ rest, session, watch, onMove: this.moved });
    this.coverage = new Coverage(rest);
    this.board = new FeedBoard(rest);
    this.alerts = new Alerts({ rest, dial });
  }

  get view(): View {
    return this.route.view ?? 'candles';
  }

  get interval(): Interval {
    return this.session.interval;
  }

  /** What the screen shows as now, in milliseconds since 1970. */
  get now(): number {
    return this.player.shown;
  }

  /** One word for the state of both streams. */
  get health(): 'live' | 'connecting' | 'offline' {
    const phases = [this.watch.connection.phase, this.session.connection.phase];
    if (phases.every((p) => p === 'live' || p === 'off')) {
      return phases.includes('live') ? 'live' : 'connecting';
    }
    return phases.includes('waiting') ? 'offline' : 'connecting';
  }

  async start(): Promise<void> {
    // Links of others may say in the query what the page says behind the hash.
    if (location.hash === '') {
      const asked = writeRoute(readRoute(location.search));
      if (asked !== '#') history.replaceState(null, '', location.pathname + asked);
    }
    this.watch.start();
    this.alerts.start();
    addEventListener('popstate', this.follow);
    addEventListener('hashchange', this.follow);
    addEventListener('online', this.hurry);
    document.addEventListener('visibilitychange', this.seen);
    this.titleTimer = setInterval(this.retitle, 500);
    await this.watch.load();
    this.follow();
  }

  stop(): void {
    removeEventListener('popstate', this.follow);
    removeEventListener('hashchange', this.follow);
    removeEventListener('online', this.hurry);
    document.removeEventListener('visibilitychange', this.seen);
    clearInterval(this.titleTimer);
    this.watch.stop();
    this.coverage.stop();
    this.board.stop();
    this.alerts.stop();
    this.session.close();
  }

  /** Looks at another symbol. */
  choose(symbol: string): void {
    this.go({ ...this.route, page: null, symbol });
  }

  setInterval(interval: Interval): void {
    this.go({ ...this.route, interval: interval.id });
  }

  setView(view: View): void {
    this.go({ ...this.route, view });
  }

  /** Turns to a page; null is the chart. */
  turnTo(page: Page | null): void {
    this.go({ ...this.route, page });
  }

  /** The address of a symbol with all else as it is, for links. */
  linkTo(symbol: string): string {
    return writeRoute({ ...this.route, page: null, symbol });
  }

  /** The address of a page; null is the chart. */
  linkToPage(page: Page | null): string {
    return writeRoute({ ...this.route, page });
  }

  /** Opens the receipt of the bar that opened at `t`, in UTC seconds. */
  receipt(t: number): ReceiptView | null {
    const { row, options, session, player } = this;
    return row && new ReceiptView(options.rest, row.symbol, session.interval, t, player.at);
  }

  /** The address of a file with the bars, or the trades, of a stretch of time. */
  file(what: 'bars' | 'trades', format: 'csv' | 'parquet', stretch: Stretch): string {
    const interval = what === 'bars' ? this.interval : null;
    const { symbol = '' } = this.row ?? {};
    return this.options.rest.file(symbol, interval, format, stretch, this.player.at);
  }

  /** The row that many places below (or above) the current one. */
  move(by: number): void {
    const { rows } = this.watch;
    const at = this.row === null ? -1 : rows.indexOf(this.row);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
    if (next !== undefined && next !== this.row) this.choose(next.symbol);
  }

  liveLine(symbol: string): LiveLine {
    return new LiveLine(this.options.server, this.options.rest, this.frame, symbol);
  }

  /** What the live line shows of a moment of the past: the last trades up to it. */
  get pastLine(): Pick<LiveLine, 'phase' | 'problem' | 'points'> {
    const { phase, problem, print } = this.session;
    const points = print.trades
      .slice(0, livePoints)
      .map(({ seq: id, time, symbol, price }) => ({ id, time, symbol, price }))
      .reverse();
    if (phase === 'failed') return { phase, problem, points };
    const ready = phase !== 'loading' || points.length > 0;
    return { phase: ready ? 'ready' : 'loading', problem: '', points };
  }

  /** Called when the list arrived or grew: a symbol that was waited for may be there now. */
  settle(): void {
    if (this.row === null) this.follow();
  }

  private go(route: Route): void {
    const address = writeRoute(route);
    if (address !== location.hash) history.pushState(null, '', address);
    this.follow();
  }

  private readonly moved = (how: 'push' | 'replace'): void => {
    this.route = { ...this.route, ...this.player.address() };
    const address = writeRoute(this.route);
    if (address === location.hash) return;
    if (how === 'push') history.pushState(null, '', address);
    else history.replaceState(null, '', address);
    this.retitle();
  };

  private readonly follow = (): void => {
    const wanted = readRoute(location.hash);
    const moved = this.player.follow(wanted);
    const symbol = wanted.symbol ?? this.prefs.symbol;
    const row = this.watch.find(symbol) ?? (wanted.symbol === null ? this.first() : null);
    const interval = wanted.interval === null ? null : intervalOf(wanted.interval);
    // Without a word on the interval the one that was chosen stays.
    const same = row === this.row && (interval === null || interval === this.asked);
    // A moment that is not over yet is the present.
    const at = this.player.at === null ? null : wanted.at;
    this.route = { ...wanted, symbol: row?.symbol ?? wanted.symbol, at };
    this.row = row;
    if (row !== null && same && moved) this.session.seek(this.player.played);
    if (row === null || same) return;
    if (row.symbol !== this.measured) void this.player.measure(row.symbol);
    this.measured = row.symbol;
    this.prefs.symbol = row.symbol;
    this.prefs.save();
    this.asked = interval;
    this.session.open(row, interval, this.player.played);
    this.retitle();
  };

  /** What is shown to who asks for nothing: the first symbol that a feed brings, before those that only files brought. */
  private first(): Row | null {
    const { rows, feeds } = this.watch;
    return rows.find((row) => feeds.some((feed) => feed.name === row.feed)) ?? rows[0] ?? null;
  }

  private readonly hurry = (): void => {
    this.watch.hurry();
    this.alerts.hurry();
    this.session.again();
  };

  private readonly seen = (): void => {
    if (document.hidden) {
      this.session.hide();
      this.watch.join('1s');
    } else {
      this.session.unhide();
      this.watch.join('50ms');
    }
  };

  private readonly retitle = (): void => {
    const { row } = this;
    const { at } = this.player;
    const price =
      row === null ? 'Tapedeck' : tabTitle(row.name, row.price, row.base, row.decimals, this.style);
    const chart =
      at === null ? price : `Not live ${new TimeLabels(this.prefs.zone).clock(at.s)} · ${price}`;
    const { page } = this.route;
    const title = page === null ? chart : `${page === 'feeds' ? 'Feeds' : 'Alerts'} · Tapedeck`;
    if (title !== this.title) document.title = title;
    this.title = title;
  };
}

export { intervals };
