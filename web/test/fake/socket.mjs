/**
 * The server's half of a WebSocket, as little of RFC 6455 as a test needs: text
 * frames out, masked text frames in, close. No dependency is worth forty lines.
 */
import { createHash } from 'node:crypto';

const magic = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Takes over an upgrade request. `onText` gets each message, `onClose` the end. */
export function accept(request, socket, onText, onClose) {
  const key = createHash('sha1')
    .update(request.headers['sec-websocket-key'] + magic)
    .digest('base64');
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${key}\r\n\r\n`,
  );
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const frame = parse(pending);
      if (frame === null) return;
      pending = pending.subarray(frame.size);
      if (frame.opcode === 8) socket.end();
      if (frame.opcode === 1) onText(frame.payload.toString());
    }
  });
  // A browser that ends may say no goodbye; a line that stays half open would keep the server from ending.
  socket.on('end', () => socket.end());
  socket.on('error', () => socket.destroy());
  socket.on('close', onClose);
  return {
    send(text) {
      if (!socket.destroyed) socket.write(frameOf(Buffer.from(text)));
    },
    /** Cuts the line as a dying server does, without a goodbye. */
    cut() {
      socket.destroy();
    },
  };
}

function frameOf(payload) {
  const n = payload.length;
  const head =
    n < 126
      ? Buffer.from([0x81, n])
      : n < 65536
        ? Buffer.from([0x81, 126, n >> 8, n & 255])
        : Buffer.concat([Buffer.from([0x81, 127]), big(n)]);
  return Buffer.concat([head, payload]);
}

function big(n) {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(n));
  return out;
}

function parse(data) {
  if (data.length < 6) return null;
  let at = 2;
  let length = data[1] & 127;
  if (length === 126) {
    length = data.readUInt16BE(2);
    at = 4;
  }
  if (data.length < at + 4 + length) return null;
  const mask = data.subarray(at, at + 4);
  const payload = Buffer.from(data.subarray(at + 4, at + 4 + length));
  for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i & 3];
  return { opcode: data[0] & 15, payload, size: at + 4 + length };
}
