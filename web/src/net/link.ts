import type { Backoff } from './backoff.ts';
import { usual, wait } from './backoff.ts';
import type { Event, Resume } from './resume.ts';
import { idle, step } from './resume.ts';
import type { Control, Message, Subscription } from './wire.ts';
import { readFrame, subscribe } from './wire.ts';

/** Who listens to a link. Called in tape order; must not throw. */
export interface LinkOwner {
  /** One frame's messages, control messages among them. */
  onMessages(messages: readonly Message[]): void;
  /** The connection's state changed. */
  onState(state: Resume): void;
  /** What was missed cannot be had: load history, then `start` with its cursor. */
  onReload(): void;
}

/** The parts of a WebSocket that a link uses, so that tests can bring their own. */
export interface Line {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
}

export interface LinkOptions {
  readonly dial: () => Line;
  readonly want: Subscription;
  readonly owner: LinkOwner;
  /** What is said right after each subscribing; asked anew each time. */
  readonly opening?: () => readonly Control[];
  readonly backoff?: Backoff;
  readonly random?: () => number;
  /**
   * Milliseconds without a word after which the line counts as dead. The server
   * speaks at least every 5 s, so the default of 12 s allows one beat to be late.
   */
  readonly patience?: number;
}

/** The server's code for a cursor that it cannot go on from. */
const tooOld = 416;

/** How long an attempt to connect may take, in milliseconds. */
const dialLimit = 8_000;

/**
 * One stream connection kept alive: dials, joins, listens, notices silence,
 * backs off, and goes on from its cursor. The decisions are `step`'s; this class
 * only carries them out.
 */
export class Link {
  private state: Resume = idle;
  private line: Line | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setTimeout> | undefined;
  private readonly options: LinkOptions;

  constructor(options: LinkOptions) {
    this.options = options;
  }

  get current(): Resume {
    return this.state;
  }

  /** Connects and goes on from the cursor; with null it joins at the present. */
  start(cursor: string | null): void {
    this.handle({ type: 'start', cursor });
  }

  /** Ends the connection. `start` may be called again. */
  stop(): void {
    this.handle({ type: 'stop' });
  }

  /** Tries again at once instead of waiting, for when the browser came back online. */
  hurry(): void {
    this.handle({ type: 'due' });
  }

  /** Tells the server something, if it is there to hear it; `opening` is what counts after a reconnect. */
  say(...controls: readonly Control[]): void {
    if (this.state.phase !== 'joining' && this.state.phase !== 'live') return;
    for (const control of controls) this.line?.send(JSON.stringify(control));
  }

  /** Says that the owner found a hole: leave, and have it load history anew. */
  lost(why: string): void {
    this.handle({ type: 'lost', why });
  }

  private handle(event: Event): void {
    const before = this.state;
    const { state, effects } = step(before, event);
    this.state = state;
    if (state.phase !== 'waiting') this.clearRetry();
    for (const effect of effects) {
      switch (effect) {
        case 'dial':
          this.dial();
          break;
        case 'subscribe':
          this.line?.send(subscribe(this.options.want, state.cursor));
          for (const control of this.options.opening?.() ?? []) {
            this.line?.send(JSON.stringify(control));
          }
          break;
        case 'hang up':
          this.hangUp();
          break;
        case 'retry later':
          this.hangUp();
          this.retryLater();
          break;
        case 'reload':
          this.options.owner.onReload();
          break;
      }
    }
    if (state !== before && event.type !== 'cursor') this.options.owner.onState(this.state);
  }

  private dial(): void {
    const line = this.options.dial();
    this.line = line;
    line.onopen = () => {
      this.handle({ type: 'opened' });
      this.listen();
    };
    line.onclose = () => {
      this.handle({ type: 'closed' });
    };
    line.onmessage = (event) => {
      this.listen();
      if (typeof event.data === 'string') this.read(event.data);
    };
    this.listen(dialLimit);
  }

  private read(frame: string): void {
    let messages: Message[];
    try {
      messages = readFrame(frame);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.handle({ type: 'refused', why: `cannot read the server: ${why}` });
      return;
    }
    const line = this.line;
    for (const message of messages) {
      if (message.type === 'subscription') this.handle({ type: 'joined' });
      if (message.type === 'error') {
        const why = message.message || `error ${String(message.code)}`;
        // To load history anew does not help a moment that cannot be played.
        const lost = message.code === tooOld && this.options.want.played !== true;
        this.handle({ type: lost ? 'lost' : 'refused', why });
      }
    }
    // A refusal above, or the owner below, may have ended this line; what it
    // still says must not move the cursor of the next one.
    if (this.line !== line || line === null) return;
    this.options.owner.onMessages(messages);
    for (const message of messages) {
      if (this.line !== line) return;
      if (message.type === 'cursor') this.handle({ type: 'cursor', cursor: message.cursor });
    }
  }

  private listen(limit = this.options.patience ?? 12_000): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      this.handle({ type: 'silent' });
    }, limit);
  }

  private hangUp(): void {
    clearTimeout(this.watchdog);
    const line = this.line;
    this.line = null;
    if (line === null) return;
    line.onopen = line.onclose = line.onmessage = null;
    line.close();
  }

  private retryLater(): void {
    this.clearRetry();
    const { backoff = usual, random = Math.random } = this.options;
    this.retry = setTimeout(
      () => {
        this.handle({ type: 'due' });
      },
      wait(this.state.attempt - 1, backoff, random),
    );
  }

  private clearRetry(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
  }
}
