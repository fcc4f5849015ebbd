import type { Zone } from './zone.ts';

/** Which part of a time a tick of the axis marks; the numbers are the chart library's. */
export const mark = { year: 0, month: 1, day: 2, minute: 3, second: 4 } as const;

/** Writes times for one zone and language. Seconds since 1970, UTC, go in. */
export class TimeLabels {
  private readonly year: Intl.DateTimeFormat;
  private readonly month: Intl.DateTimeFormat;
  private readonly day: Intl.DateTimeFormat;
  private readonly minute: Intl.DateTimeFormat;
  private readonly second: Intl.DateTimeFormat;
  private readonly date: Intl.DateTimeFormat;

  constructor(zone: Zone, locale?: string) {
    const base = zone === 'utc' ? { timeZone: 'UTC' } : {};
    const make = (o: Intl.DateTimeFormatOptions): Intl.DateTimeFormat =>
      new Intl.DateTimeFormat(locale, { ...base, ...o });
    const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
    this.year = make({ year: 'numeric' });
    this.month = make({ month: 'short' });
    this.day = make({ day: 'numeric', month: 'short' });
    this.minute = make(clock);
    this.second = make({ ...clock, second: '2-digit' });
    this.date = make({ weekday: 'short', day: '2-digit', month: 'short', year: 'numeric' });
  }

  /** The label of a tick of the time axis. */
  tick(seconds: number, kind: number): string {
    const at = seconds * 1000;
    switch (kind) {
      case mark.year:
        return this.year.format(at);
      case mark.month:
        return this.month.format(at);
      case mark.day:
        return this.day.format(at);
      case mark.second:
        return this.second.format(at);
      default:
        return this.minute.format(at);
    }
  }

  /** The full time under the crosshair, as exact as the interval needs. */
  full(seconds: number, interval: number): string {
    const at = seconds * 1000;
    const date = this.date.format(at);
    if (interval >= 86400) return date;
    return `${date}  ${interval < 60 ? this.second.format(at) : this.minute.format(at)}`;
  }

  /** Day and time with seconds, as the clock of a past moment shows them. */
  moment(seconds: number): string {
    const at = seconds * 1000;
    return `${this.date.format(at)}  ${this.second.format(at)}`;
  }

  /** The time of day with seconds. */
  clock(seconds: number): string {
    return this.second.format(seconds * 1000);
  }
}
