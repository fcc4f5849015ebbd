/** The time machine of the fake server: a stream that plays what is on its tape, behind a clock. */
import { json } from './server.mjs';

/** Wall time between two steps of the clock, in milliseconds. */
const beat = 50;

export class Play {
  constructor(fake, client, query) {
    this.fake = fake;
    this.client = client;
    this.at = Date.parse(query.get('from'));
    this.speed = speedOf(query.get('speed') ?? '1');
    this.playing = true;
    this.next = fake.entries.findIndex((e) => Date.parse(e.r) >= this.at);
    if (this.next < 0) this.next = fake.entries.length;
  }

  start() {
    this.wall = Date.now();
    this.timer ??= setInterval(() => this.beat(), beat);
    this.tell([]);
  }

  end() {
    clearInterval(this.timer);
  }

  obey(ask) {
    this.move();
    if (ask.action === 'pause') this.playing = false;
    if (ask.action === 'resume') this.playing = true;
    if (ask.action === 'speed') this.speed = speedOf(ask.speed);
    if (ask.action === 'step') this.step(ask.ticks);
    else this.tell([]);
  }

  step(ticks) {
    const told = [];
    const { entries } = this.fake;
    while (told.length < ticks && this.next < entries.length) {
      const e = entries[this.next++];
      if (this.wants(e)) told.push(e);
    }
    if (told.length > 0) this.at = Date.parse(told.at(-1).r);
    this.tell(told);
  }

  wants(e) {
    const { want } = this.client;
    return e.T === 't' && (want.has('*') || want.has(e.S));
  }

  /** Moves the clock to where it is by now, without telling anything. */
  move() {
    const now = Date.now();
    if (this.playing) {
      const gone = (now - this.wall) * (this.speed === 'max' ? 1e6 : this.speed);
      this.at = Math.min(now, this.at + gone);
    }
    this.wall = now;
  }

  beat() {
    if (!this.playing) return;
    this.move();
    const { entries } = this.fake;
    const told = [];
    for (; this.next < entries.length; this.next++) {
      const e = entries[this.next];
      if (e.r !== undefined && Date.parse(e.r) > this.at) break;
      if (this.wants(e)) told.push(e);
    }
    if (this.next === entries.length && this.at >= Date.now() - beat) {
      this.end();
      this.client.play = null;
      this.client.at = this.next;
      this.tell(told, true);
    } else this.tell(told);
  }

  tell(told, live = false) {
    const clock = {
      T: 'clock',
      t: new Date(this.at).toISOString(),
      speed: this.speed,
      live,
      playing: this.playing,
    };
    this.client.line.send(json([...told, clock]));
  }
}

function speedOf(said) {
  return said === 'max' ? said : Number(said);
}
