import type { FiredAlert } from '../market/alert.ts';
import type { Prefs } from '../state/prefs.svelte.ts';

/** What the browser says to notifications: they may be shown, must not be, or there are none. */
export type Permission = 'granted' | 'denied' | 'none';

/** The parts of a browser that make themselves noticed, so that tests can bring their own. */
export interface Outside {
  /** Asks the reader; to be called upon a click only. */
  ask(): Promise<Permission>;
  show(title: string, body: string, tag: string, onclick: () => void): void;
  beep(): void;
}

/** Tells of alerts beyond the page: by the system, and by a sound. Both only once the reader has asked for it. */
export class Bell {
  private readonly prefs: Pick<Prefs, 'notify' | 'sound' | 'save'>;
  private readonly onclick: () => void;
  private readonly outside: Outside;

  constructor(
    prefs: Pick<Prefs, 'notify' | 'sound' | 'save'>,
    onclick: () => void,
    outside: Outside = browser(),
  ) {
    this.prefs = prefs;
    this.onclick = onclick;
    this.outside = outside;
  }

  /** Turns notifications on or off. Returns why they stay off, or nothing. */
  async turnNotify(): Promise<string> {
    let why = '';
    if (this.prefs.notify) this.prefs.notify = false;
    else {
      const permission = await this.outside.ask();
      this.prefs.notify = permission === 'granted';
      if (permission === 'denied') {
        why =
          'The browser does not allow notifications for this page. Its settings can change that.';
      } else if (permission === 'none') why = 'This browser has no notifications for this address.';
    }
    this.prefs.save();
    return why;
  }

  /** Turns the sound on or off. It is heard once when it is turned on. */
  turnSound(): void {
    this.prefs.sound = !this.prefs.sound;
    this.prefs.save();
    if (this.prefs.sound) this.outside.beep();
  }

  /** Tells of alerts that came together, newest first. */
  ring(alerts: readonly FiredAlert[]): void {
    const [newest] = alerts;
    if (newest === undefined) return;
    if (this.prefs.sound) this.outside.beep();
    if (!this.prefs.notify) return;
    const more = alerts.length === 1 ? '' : ` (and ${String(alerts.length - 1)} more)`;
    // The tag has several windows of the page show it once.
    this.outside.show(newest.symbol, newest.text + more, newest.id, this.onclick);
  }
}

function browser(): Outside {
  let audio: AudioContext | null = null;
  return {
    async ask() {
      if (!('Notification' in window)) return 'none';
      return (await Notification.requestPermission()) === 'granted' ? 'granted' : 'denied';
    },
    show(title, body, tag, onclick) {
      if (!('Notification' in window) || Notification.permission !== 'granted') return;
      try {
        const shown = new Notification(title, { body, tag });
        shown.onclick = () => {
          window.focus();
          onclick();
          shown.close();
        };
      } catch {
        // Browsers of phones know the word and want a service worker for it.
      }
    },
    beep() {
      // Before the first click a browser would refuse, and complain at the console.
      if (!navigator.userActivation.hasBeenActive) return;
      audio ??= new AudioContext();
      const { currentTime: now } = audio;
      const tone = audio.createOscillator();
      const gain = audio.createGain();
      tone.frequency.setValueAtTime(880, now);
      tone.frequency.setValueAtTime(1174.7, now + 0.12);
      gain.gain.setValueAtTime(0.08, now);
      gain.gain.exponentialRampToValueAtTime(0.0001, now + 0.4);
      tone.connect(gain).connect(audio.destination);
      tone.start(now);
      tone.stop(now + 0.4);
    },
  };
}
