import type { Zone } from '../chart/zone.ts';

/** Light, dark, or as the system has it. */
export type Theme = 'system' | 'light' | 'dark';

/** Which colours say up and down: western, east Asian, or safe for the colour-blind. */
export type Colours = 'green-up' | 'red-up' | 'blue-up';

const themes: readonly Theme[] = ['system', 'light', 'dark'];
const colourings: readonly Colours[] = ['green-up', 'red-up', 'blue-up'];
const zones: readonly Zone[] = ['local', 'utc'];

/** The reader's choices, kept by the browser. Without storage they last as long as the page. */
export class Prefs {
  theme = $state<Theme>('system');
  colours = $state<Colours>('green-up');
  zone = $state<Zone>('local');
  spread = $state(false);
  /** Whether alerts are to be shown by the system, and heard. */
  notify = $state(false);
  sound = $state(false);
  /** The symbol looked at last, to open with. */
  symbol = $state('');

  private readonly storage: Storage | null;

  constructor(storage: Storage | null) {
    this.storage = storage;
    this.theme = this.choice('theme', themes, 'system');
    this.colours = this.choice('colours', colourings, 'green-up');
    this.zone = this.choice('zone', zones, 'local');
    this.spread = this.read('spread') === 'yes';
    this.notify = this.read('notify') === 'yes';
    this.sound = this.read('sound') === 'yes';
    this.symbol = this.read('symbol') ?? '';
  }

  /** Writes all choices down. Called after each change. */
  save(): void {
    this.write('theme', this.theme);
    this.write('colours', this.colours);
    this.write('zone', this.zone);
    this.write('spread', this.spread ? 'yes' : 'no');
    this.write('notify', this.notify ? 'yes' : 'no');
    this.write('sound', this.sound ? 'yes' : 'no');
    this.write('symbol', this.symbol);
  }

  private choice<T extends string>(key: string, known: readonly T[], fallback: T): T {
    const value = this.read(key);
    return known.find((k) => k === value) ?? fallback;
  }

  private read(key: string): string | null {
    try {
      return this.storage?.getItem(`tapedeck.${key}`) ?? null;
    } catch {
      return null;
    }
  }

  private write(key: string, value: string): void {
    try {
      this.storage?.setItem(`tapedeck.${key}`, value);
    } catch {
      // A full or forbidden storage costs the memory of a choice, nothing else.
    }
  }
}
