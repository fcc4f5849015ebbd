import type { Interval } from '../market/interval.ts';
import { intervalOf, intervals } from '../market/interval.ts';
import type { NumberStyle } from '../market/format.ts';
import { tabTitle } from '../market/format.ts';
import type { Line } from '../net/link.ts';
import type { Rest } from '../net/rest.ts';
import type { Server } from '../net/urls.ts';
import { Frame } from './frame.ts';
import { LiveLine } from './live.svelte.ts';
import { Prefs } from './prefs.svelte.ts';
import type { Route, View } from './route.ts';
import { readRoute, writeRoute } from './route.ts';
import type { Row } from './row.svelte.ts';
import { Session } from './session.svelte.ts';
import { Watch } from './watch.svelte.ts';

export interface DeskOptions {
  readonly server: Server;
  readonly rest: Rest;
  readonly dial: () => Line;
  readonly style: NumberStyle;
  readonly storage: Storage | null;
}

/** Everything on the screen that is not pixels: what is watched, what is charted, and how. */
export class Desk {
  readonly prefs: Prefs;
  readonly watch: Watch;
  readonly session: Session;
  readonly frame = new Frame();
  readonly style: NumberStyle;
  route = $state.raw<Route>({ symbol: null, interval: null, view: null });
  row = $state.raw<Row | null>(null);

  private readonly options: DeskOptions;
  private asked: Interval | null = null;
  private title = 'Tapedeck';
  private titleTimer: ReturnType<typeof setInterval> | undefined;

  constructor(options: DeskOptions) {
    this.options = options;
    const { rest, dial, style } = options;
    this.style = style;
    this.prefs = new Prefs(options.storage);
    this.watch = new Watch({ rest, dial, frame: this.frame, style });
    this.session = new Session({ rest, dial, frame: this.frame });
  }

  get view(): View {
    return this.route.view ?? 'candles';
  }

  get interval(): Interval {
    return this.session.interval;
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
    this.watch.start();
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
    this.session.close();
  }

  /** Looks at another symbol. */
  choose(symbol: string): void {
    this.go({ ...this.route, symbol });
  }

  setInterval(interval: Interval): void {
    this.go({ ...this.route, interval: interval.id });
  }

  setView(view: View): void {
    this.go({ ...this.route, view });
  }

  /** The address of a symbol with all else as it is, for links. */
  linkTo(symbol: string): string {
    return writeRoute({ ...this.route, symbol });
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

  /** Called when the list arrived or grew: a symbol that was waited for may be there now. */
  settle(): void {
    if (this.row === null) this.follow();
  }

  private go(route: Route): void {
    const address = writeRoute(route);
    if (address !== location.hash) history.pushState(null, '', address);
    this.follow();
  }

  private readonly follow = (): void => {
    const wanted = readRoute(location.hash);
    const { rows } = this.watch;
    const symbol = wanted.symbol ?? this.prefs.symbol;
    const row = this.watch.find(symbol) ?? (wanted.symbol === null ? (rows[0] ?? null) : null);
    const interval = wanted.interval === null ? null : intervalOf(wanted.interval);
    // Without a word on the interval the one that was chosen stays.
    const same = row === this.row && (interval === null || interval === this.asked);
    this.route = { ...wanted, symbol: row?.symbol ?? wanted.symbol };
    this.row = row;
    if (row === null || same) return;
    this.prefs.symbol = row.symbol;
    this.prefs.save();
    this.asked = interval;
    this.session.open(row, interval);
    this.retitle();
  };

  private readonly hurry = (): void => {
    this.watch.hurry();
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
    const title =
      row === null ? 'Tapedeck' : tabTitle(row.name, row.price, row.base, row.decimals, this.style);
    if (title !== this.title) document.title = title;
    this.title = title;
  };
}

export { intervals };
