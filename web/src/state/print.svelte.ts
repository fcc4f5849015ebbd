import type { Trade } from '../market/types.ts';

/** How many trades the list beside the chart holds. */
export const printed = 50;

/** The eye reads no list faster than this; milliseconds. */
const pause = 120;

/** The newest trades of the charted symbol, newest first: time and sales. */
export class Print {
  trades = $state.raw<readonly Trade[]>([]);

  private kept: Trade[] = [];
  private stale = false;
  private drawnAt = -Infinity;

  /** Puts history behind what the stream already brought; what is in both counts once. */
  seed(history: readonly Trade[]): void {
    const oldest = this.kept.at(-1)?.seq ?? Infinity;
    // History is ordered by time, the stream by number; late trades are where they differ.
    const older = history.filter((t) => t.seq < oldest).sort((a, b) => b.seq - a.seq);
    this.kept = [...this.kept, ...older].slice(0, printed);
    this.stale = true;
  }

  /**
   * Adds a trade of the stream, unless history already had it. The past may be
   * played by the times of its trades, which their numbers need not follow; there
   * nothing came twice up to here.
   */
  add(trade: Trade, past = false): void {
    const newest = this.kept[0]?.seq ?? 0;
    if (!past && trade.seq > 0 && trade.seq <= newest) return;
    this.kept.unshift(trade);
    if (this.kept.length > printed) this.kept.pop();
    this.stale = true;
  }

  /** Takes another list, newest first, in place of this one. */
  replace(history: readonly Trade[]): void {
    this.kept = history.slice(0, printed);
    this.stale = true;
  }

  /** Begins anew; what is shown stays until there is something to show instead. */
  restart(): void {
    this.kept = [];
    this.stale = false;
  }

  /** Begins anew with nothing, for another symbol. */
  clear(): void {
    this.restart();
    this.trades = [];
  }

  /** Shows the list if it is time to; false when it has to be asked again. */
  draw(now: number): boolean {
    if (!this.stale) return true;
    if (now - this.drawnAt < pause && now >= this.drawnAt) return false;
    this.drawnAt = now;
    this.stale = false;
    this.trades = [...this.kept];
    return true;
  }
}
