import type { Line } from './link.ts';

/** A WebSocket as a link wants it. */
export function openLine(url: string): Line {
  const socket = new WebSocket(url);
  const line: Line = {
    onopen: null,
    onclose: null,
    onmessage: null,
    send: (text) => {
      socket.send(text);
    },
    close: () => {
      // Cutting off a handshake has the browser complain; a moment later it is a plain close.
      if (socket.readyState === WebSocket.CONNECTING) {
        socket.onopen = () => {
          socket.close();
        };
      } else socket.close();
    },
  };
  socket.onopen = () => line.onopen?.();
  // An error is always followed by a close; one of the two is enough to act on.
  socket.onclose = () => line.onclose?.();
  socket.onmessage = (event: MessageEvent<unknown>) => line.onmessage?.(event);
  return line;
}
