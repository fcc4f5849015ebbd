import { once } from 'node:events';
import { createServer, request as ask } from 'node:http';
import { connect } from 'node:net';

/**
 * A reverse proxy that publishes a server under a path, as nginx's `location
 * /deck/ { proxy_pass http://…/; }` does, WebSockets included. The server is
 * addressed by its own name; the page's origin is the proxy's.
 */
export async function startProxy(target, prefix) {
  const { hostname, port, host } = new URL(target);
  const inside = (url) => (url.startsWith(prefix) ? '/' + url.slice(prefix.length) : null);
  const server = createServer((incoming, outgoing) => {
    const path = inside(incoming.url);
    if (path === null) {
      outgoing.statusCode = 404;
      outgoing.end('outside the prefix');
      return;
    }
    const headers = { ...incoming.headers, host };
    const upstream = ask({ hostname, port, path, method: incoming.method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    upstream.on('error', () => outgoing.destroy());
    incoming.pipe(upstream);
  });
  server.on('upgrade', (incoming, socket) => {
    const path = inside(incoming.url);
    if (path === null) return socket.destroy();
    const headers = { ...incoming.headers, host, origin: `http://${host}` };
    const upstream = connect(Number(port), hostname, () => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      upstream.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}${prefix}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
