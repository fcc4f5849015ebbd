import type { Clock, Speed, Stretch } from '../market/clock.ts';
import { faster } from '../market/clock.ts';
import type { Instant } from '../market/instant.ts';
import { compareInstants, fromMs, toMs } from '../market/instant.ts';
import type { Rest } from '../net/rest.ts';
import type { Played } from './played.ts';
import type { Route } from './route.ts';
import type { Session } from './session.svelte.ts';
import type { Watch } from './watch.svelte.ts';

export interface PlayerOptions {
  readonly rest: Rest;
  readonly session: Session;
  readonly watch: Watch;
  /**
   * The moment or the pace changed, and the address has to say so: as a place of
   * its own that one can go back from, or instead of the one that it says.
   */
  readonly onMove: (how: 'push' | 'replace') => void;
  readonly now?: () => number;
}

/** How often the address follows a clock that runs, in milliseconds; browsers allow no more than some a second. */
const addressEvery = 2_000;

/**
 * The deck's keys: which moment the screen shows, and whether it runs. There is one
 * clock, that of the stream of the chart; chart, trades, watch list and address
 * follow it.
 */
export class Player {
  /** The moment shown; null is the present. */
  at = $state.raw<Instant | null>(null);
  playing = $state(false);
  speed = $state.raw<Speed>(1);
  /** When the history of the charted symbol begins, in UTC seconds; null while not known. */
  begin = $state<number | null>(null);

  private readonly options: PlayerOptions;
  private addressed = -Infinity;
  /** The moment that the address says, which lags behind while playing. */
  private written: Instant | null = null;
  private beginning = new AbortController();

  constructor(options: PlayerOptions) {
    this.options = options;
  }

  /** What the session is to show; null is the present. */
  get played(): Played | null {
    const { at, speed, playing } = this;
    return at === null ? null : { from: at, speed, playing };
  }

  /** The present by the server's clock, or a little before it, in milliseconds. */
  get present(): number {
    return this.now() - Math.max(0, this.options.watch.clockAhead ?? 0);
  }

  /** What is shown as now, in milliseconds. */
  get shown(): number {
    return this.at === null ? this.now() : toMs(this.at);
  }

  /** The stretch of time that can be gone to: from where history begins to the present. */
  get span(): Stretch | null {
    const to = Math.floor(this.present / 1000);
    return this.begin === null ? null : { from: Math.min(this.begin, to), to };
  }

  /** Shows a moment; one that is not over yet is the present. */
  seek(at: Instant, playing = this.playing): void {
    if (toMs(at) >= this.present) {
      this.live();
      return;
    }
    const how = this.at === null ? 'push' : 'replace';
    this.jump(at, playing);
    this.options.session.seek(this.played);
    this.options.onMove(how);
  }

  /** Back to the present. */
  live(): void {
    if (this.at === null) return;
    this.jump(null, false);
    this.options.session.seek(null);
    this.options.onMove('push');
  }

  /** Plays or stands still. In the present it stands still at once. */
  toggle(): void {
    if (this.at === null) {
      this.seek(fromMs(this.present - 1), false);
      return;
    }
    this.playing = !this.playing;
    this.options.session.pace(this.playing, this.speed);
    this.options.onMove('replace');
  }

  /** Stands still and goes on by one trade. Means nothing in the present. */
  step(): void {
    if (this.at === null) return;
    if (this.playing) this.toggle();
    this.options.session.step();
  }

  setSpeed(speed: Speed): void {
    this.speed = speed;
    if (this.at === null) return;
    this.options.session.pace(this.playing, speed);
    this.options.onMove('replace');
  }

  /** One step faster or slower. */
  shift(by: 1 | -1): void {
    this.setSpeed(faster(this.speed, by));
  }

  /** Goes where the address says. Returns whether that is another moment than the one shown. */
  follow({ at, speed }: Route): boolean {
    if (at === null ? this.at === null : this.written !== null && equal(at, this.written)) {
      return false;
    }
    if (speed !== null) this.speed = speed;
    // A moment that is not over yet is the present.
    const to = at !== null && toMs(at) < this.present ? at : null;
    const moved = to !== null || this.at !== null;
    if (moved) this.jump(to, speed !== null);
    return moved;
  }

  /** What the address has to say of the moment; asked for when it is written. */
  address(): Pick<Route, 'at' | 'speed'> {
    this.written = this.at;
    this.addressed = this.now();
    return { at: this.at, speed: this.at !== null && this.playing ? this.speed : null };
  }

  /** Takes the server's word of where the clock is. */
  readonly hear = (clock: Clock): void => {
    if (this.at === null) return;
    const { session, watch, onMove } = this.options;
    if (clock.live) {
      // It has played up to the present; from here on it is live.
      this.jump(null, false);
      session.seek(null);
      onMove('replace');
      return;
    }
    this.at = clock.time;
    if (clock.ended) this.playing = false;
    watch.advance(clock.time);
    if (!clock.playing || this.now() - this.addressed >= addressEvery) onMove('replace');
  };

  /** Learns where the history of another symbol begins. */
  async measure(symbol: string): Promise<void> {
    this.beginning.abort();
    this.beginning = new AbortController();
    const { signal } = this.beginning;
    this.begin = null;
    try {
      const begin = await this.options.rest.begin(symbol, signal);
      if (!signal.aborted) this.begin = begin;
    } catch {
      // Without it there is no time line, and everything else is as it was.
    }
  }

  private jump(at: Instant | null, playing: boolean): void {
    this.at = at;
    this.playing = playing;
    this.written = at;
    this.options.watch.rewind(at);
  }

  private now(): number {
    return (this.options.now ?? Date.now)();
  }
}

function equal(a: Instant, b: Instant): boolean {
  return compareInstants(a, b) === 0;
}
