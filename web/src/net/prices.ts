import { readExact } from '../market/exact.ts';
import type { Backoff } from './backoff.ts';
import { usual, wait } from './backoff.ts';
import type { PricePoint } from './answers.ts';
import { readPoint } from './answers.ts';
import type { Server } from './urls.ts';

/**
 * The tutorial's stream: one small message a trade, no cursor, no resume. After
 * a reconnect the caller loads `/history` again, which is all this stream can do.
 */
export class Prices {
  private socket: WebSocket | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private readonly url: string;
  private readonly owner: PricesOwner;
  private readonly backoff: Backoff;

  constructor(server: Server, symbol: string, owner: PricesOwner, backoff = usual) {
    this.url = server.socket('ws/prices', { symbol });
    this.owner = owner;
    this.backoff = backoff;
  }

  /** Connects, and keeps connecting until `stop`. */
  start(): void {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => {
      this.attempt = 0;
      this.owner.onOpen();
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (typeof event.data !== 'string') return;
      const point = readPrice(event.data);
      if (point !== null) this.owner.onPrice(point);
    };
    socket.onclose = () => {
      this.owner.onClosed();
      this.retry = setTimeout(
        () => {
          this.start();
        },
        wait(this.attempt++, this.backoff, Math.random),
      );
    };
  }

  stop(): void {
    clearTimeout(this.retry);
    if (this.socket === null) return;
    const { socket } = this;
    this.socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (socket.readyState === WebSocket.CONNECTING) {
      socket.onopen = () => {
        socket.close();
      };
    } else socket.close();
  }
}

export interface PricesOwner {
  onOpen(): void;
  onPrice(point: PricePoint): void;
  onClosed(): void;
}

/** Reads one message of `/ws/prices`; null when it is something else. */
export function readPrice(text: string): PricePoint | null {
  try {
    return readPoint(readExact(text));
  } catch {
    return null;
  }
}
