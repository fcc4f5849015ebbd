/** The stream as a page of somebody else's would use it: plain WebSocket and EventSource, no library. */
import { equal, ok } from './harness.mjs';

/** In the page: reads trades of a symbol from a WebSocket until there are so many, from a cursor if there is one. */
function readSocket({ symbol, wanted, from }) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(new URL('v2/tape', location.href.replace(/^http/, 'ws')));
    const seqs = [];
    let cursor = '';
    socket.onerror = () => reject(new Error('the socket failed'));
    socket.onopen = () =>
      socket.send(JSON.stringify({ action: 'subscribe', trades: [symbol], cursor: true, from }));
    socket.onmessage = ({ data }) => {
      for (const message of JSON.parse(data)) {
        if (message.T === 't') seqs.push(message.seq);
        if (message.T === 'cursor') cursor = message.c;
        if (message.T === 'error') reject(new Error(message.msg));
      }
      if (seqs.length < wanted) return;
      socket.onclose = ({ code }) => resolve({ seqs, cursor, code, extensions: socket.extensions });
      socket.close(1000);
    };
  });
}

/** In the page: the same from Server-Sent Events. */
function readEvents({ symbol, wanted, cursor }) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(
      `v2/tape/sse?trades=${symbol}&cursor=${encodeURIComponent(cursor)}`,
    );
    const seqs = [];
    events.onerror = () => reject(new Error('the events failed'));
    events.onmessage = ({ data, lastEventId }) => {
      for (const message of JSON.parse(data)) if (message.T === 't') seqs.push(message.seq);
      if (seqs.length < wanted) return;
      events.close();
      resolve({ seqs, lastEventId });
    };
  });
}

/** The test, for realTests. */
export async function plainStreams(visitor, server) {
  const page = await visitor.open(server.url);
  const symbol = 'SIM:AAPL';
  const first = await page.evaluate(readSocket, { symbol, wanted: 10 });
  ok(first.extensions.startsWith('permessage-deflate'), `extensions: ${first.extensions}`);
  equal(first.code, 1000, 'the close code');
  const second = await page.evaluate(readSocket, {
    symbol,
    wanted: 10,
    from: { cursor: first.cursor },
  });
  const third = await page.evaluate(readEvents, { symbol, wanted: 10, cursor: second.cursor });
  ok(third.lastEventId !== '', 'an event has an id');
  const all = [...first.seqs, ...second.seqs, ...third.seqs];
  equal(
    all,
    all.map((_, i) => first.seqs[0] + i),
    'trades over two sockets and the events, each once and in order',
  );
}
