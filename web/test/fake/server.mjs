/**
 * A server that speaks the protocol of the page out of memory, for what a real
 * one does too seldom to wait for: holes in the data, a cursor that is too old,
 * broken frames, a closed market, no symbols at all. Also handy while working on
 * the page: `node test/fake/server.mjs 8123`.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Alerts } from './alerts.mjs';
import { feedsOf } from './feeds.mjs';
import { coverage, receipt } from './ledger.mjs';
import { Play } from './play.mjs';
import { accept } from './socket.mjs';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

export const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
  "connect-src 'self'; font-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'";

const kinds = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const lengths = {
  '1Sec': 1,
  '5Sec': 5,
  '1Min': 60,
  '5Min': 300,
  '15Min': 900,
  '1Hour': 3600,
  '1Day': 86400,
};

/** Starts the fake. `names` are its symbols; `history` the seconds of trades made up beforehand. */
export async function startFake({
  names = ['AAPL', 'MSFT', 'NVDA', 'SPY'],
  history = 1800,
  rate = 8,
  port = 0,
} = {}) {
  const fake = new Fake(names);
  const now = Date.now();
  const step = history > 7200 ? 5000 : 1000;
  for (let t = now - history * 1000; t < now; t += step)
    for (const s of fake.symbols.values()) fake.trade(s, t);
  const server = createServer((request, response) => void fake.answer(request, response));
  server.on('upgrade', (request, socket) => fake.upgrade(request, socket));
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const timer = rate > 0 ? setInterval(() => fake.tick(), 1000 / rate) : undefined;
  fake.url = `http://127.0.0.1:${server.address().port}/`;
  fake.stop = () =>
    new Promise((resolve) => {
      clearInterval(timer);
      fake.cutAll();
      server.close(resolve);
      server.closeAllConnections();
    });
  return fake;
}

class Fake {
  constructor(names) {
    this.epoch = 'one';
    this.entries = [];
    this.clients = new Set();
    this.quiet = false;
    /** What clients asked for, on streams and by REST, for tests to look at. */
    this.asked = [];
    this.reads = [];
    this.refuse = false;
    this.alerts = new Alerts();
    this.random = seeded(7);
    this.symbols = new Map(
      names.map((name, i) => [
        `SIM:${name}`,
        { symbol: `SIM:${name}`, name, price: 18742 + i * 5311, seq: 0, state: 'live' },
      ]),
    );
  }

  cursor() {
    return `${this.epoch}:${this.entries.length}`;
  }

  tick() {
    if (this.quiet) return;
    for (const s of this.symbols.values()) {
      if (s.state === 'live' && this.random() < 0.6) this.trade(s, Date.now());
    }
    for (const client of this.clients) this.feed(client);
  }

  trade(s, at) {
    s.price = Math.max(100, s.price + Math.round((this.random() - 0.495) * 9));
    s.seq++;
    const cents = String(s.price).padStart(3, '0');
    this.entries.push({
      T: 't',
      S: s.symbol,
      i: s.seq,
      p: `${cents.slice(0, -2)}.${cents.slice(-2)}`,
      s: 1 + Math.floor(this.random() * 300),
      t: new Date(at).toISOString(),
      seq: s.seq,
      r: new Date(at).toISOString(),
    });
  }

  /** Puts any message on the tape, such as a gap. */
  push(message) {
    this.entries.push(message);
    for (const client of this.clients) this.feed(client);
  }

  /** The trades of a symbol that were known at a moment, oldest first. */
  known(symbol, at = Infinity) {
    return this.entries.filter(
      (e) => e.T === 't' && e.S === symbol && (at === Infinity || Date.parse(e.r) <= at),
    );
  }

  say(message) {
    for (const client of this.clients)
      client.line.send(typeof message === 'string' ? message : json([message]));
  }

  cutAll() {
    for (const client of this.clients) client.line.cut();
  }

  upgrade(request, socket) {
    const url = new URL(request.url, 'http://x');
    if (this.refuse) return socket.destroy();
    const client = { at: this.entries.length, want: null, latest: false, play: null };
    if (url.searchParams.has('from')) client.play = new Play(this, client, url.searchParams);
    client.line = accept(
      request,
      socket,
      (text) => this.hear(client, text),
      () => {
        this.clients.delete(client);
        client.play?.end();
      },
    );
    if (url.pathname.endsWith('/ws/prices')) {
      client.prices = url.searchParams.get('symbol');
      this.clients.add(client);
      return;
    }
    client.line.send(json([{ T: 'success', msg: 'connected' }]));
  }

  hear(client, text) {
    const ask = JSON.parse(text);
    this.asked.push(ask);
    if (ask.action !== 'subscribe') {
      if (client.play !== null) client.play.obey(ask);
      else client.line.send(json([{ T: 'error', code: 400, msg: 'not playing' }]));
      return;
    }
    const from = ask.from?.cursor;
    if (from !== undefined) {
      const [epoch, at] = from.split(':');
      if (epoch !== this.epoch) {
        client.line.send(json([{ T: 'error', code: 416, msg: 'the cursor is of another tape' }]));
        return;
      }
      client.at = Number(at);
    }
    client.want = new Set(ask.trades);
    client.alerted = ask.alerts !== undefined;
    client.latest = ask.mode === 'latest';
    this.clients.add(client);
    client.line.send(json([{ T: 'subscription', trades: ask.trades }]));
    if (client.play !== null) client.play.start();
    else this.feed(client);
  }

  feed(client) {
    if (client.play !== null) return;
    const due = this.entries.slice(client.at);
    client.at = this.entries.length;
    if (client.prices !== undefined) {
      for (const e of due) {
        if (e.T === 't' && e.S === client.prices) {
          client.line.send(`{"timestamp":"${e.t}","symbol":"${e.S}","price":${e.p}}`);
        }
      }
      return;
    }
    const mine = due.filter((e) =>
      e.T === 'alert' ? client.alerted : client.want.has('*') || client.want.has(e.S),
    );
    if (mine.length === 0) return;
    const cursor = client.latest ? [] : [{ T: 'cursor', c: this.cursor() }];
    client.line.send(json([...mine, ...cursor]));
  }

  bars(symbol, length, at) {
    const bars = new Map();
    for (const e of this.known(symbol, at)) {
      const t = Math.floor(Date.parse(e.t) / 1000 / length) * length;
      const bar = bars.get(t);
      if (!bar) bars.set(t, { t, o: e.p, h: e.p, l: e.p, c: e.p, v: e.s, n: 1 });
      else {
        if (Number(e.p) > Number(bar.h)) bar.h = e.p;
        if (Number(e.p) < Number(bar.l)) bar.l = e.p;
        bar.c = e.p;
        bar.v += e.s;
        bar.n++;
      }
    }
    return [...bars.values()].sort((a, b) => b.t - a.t);
  }

  async answer(request, response) {
    const url = new URL(request.url, 'http://x');
    const send = (body) => {
      response.setHeader('Content-Type', 'application/json');
      response.setHeader('Tapedeck-Cursor', this.cursor());
      response.end(body);
    };
    const path = decodeURIComponent(url.pathname);
    const text = url.searchParams.get('at');
    const at = text === null ? Infinity : Date.parse(text);
    const ascending = url.searchParams.get('sort') === 'asc';
    this.reads.push({ path, at: text });
    const trades = /^\/v2\/stocks\/([^/]+)\/trades$/.exec(path);
    const bars = /^\/v2\/stocks\/([^/]+)\/bars$/.exec(path);
    if (this.broken && (path.startsWith('/v1') || path.startsWith('/v2'))) {
      response.statusCode = 503;
      response.setHeader('Content-Type', 'application/problem+json');
      response.end('{"title":"Not ready","detail":"the store is still opening"}');
    } else if (await this.alerts.answer(request, response, path, url.searchParams)) {
      return;
    } else if (path === '/v1/symbols') {
      const rows = [...this.symbols.values()].map((s) => {
        const mine = this.known(s.symbol, at);
        const [first, last] = [mine[0], mine.at(-1)];
        return (
          `{"symbol":"${s.symbol}","venue":"SIM","name":"${s.name}","feed":"sim","state":"${s.state}",` +
          `"calendar":"24x7","decimals":2,"last":${last ? `{"p":${last.p},"s":${last.s},"t":"${last.t}"}` : null},` +
          `"quote":null,"day":${first ? `{"o":${first.p}}` : null},"prevClose":null}`
        );
      });
      send(`{"symbols":[${rows.join(',')}]}`);
    } else if (path === '/v1/feeds') {
      send(JSON.stringify(this.feeds ?? feedsOf(this)));
    } else if (bars) {
      const start = Date.parse(url.searchParams.get('start')) / 1000;
      const end = Date.parse(url.searchParams.get('end') ?? '2100-01-01T00:00:00Z') / 1000;
      const all = this.bars(bars[1], lengths[url.searchParams.get('timeframe')], at).filter(
        (b) => b.t >= start && b.t <= end,
      );
      if (ascending) all.reverse();
      const from = 0;
      const limit = Number(url.searchParams.get('limit'));
      const rows = all
        .slice(from, from + limit)
        .map(
          (b) =>
            `{"t":"${new Date(b.t * 1000).toISOString()}","o":${b.o},"h":${b.h},"l":${b.l},"c":${b.c},"v":${b.v},"n":${b.n}}`,
        );
      const next = from + limit < all.length ? '"more"' : 'null';
      send(`{"bars":[${rows.join(',')}],"symbol":"${bars[1]}","next_page_token":${next}}`);
    } else if (trades) {
      const rows = this.known(trades[1], at);
      const limit = Number(url.searchParams.get('limit'));
      const newest = ascending ? rows.slice(0, limit) : rows.slice(-limit).reverse();
      send(`{"trades":${json(newest)},"symbol":"${trades[1]}","next_page_token":null}`);
    } else if (path === '/history') {
      const rows = this.entries.filter(
        (e) => e.T === 't' && e.S === url.searchParams.get('symbol'),
      );
      const newest = rows.slice(-Number(url.searchParams.get('limit'))).reverse();
      send(
        `[${newest.map((e) => `{"id":${e.seq},"timestamp":"${e.t}","symbol":"${e.S}","price":${e.p}}`).join(',')}]`,
      );
    } else if (path === '/v1/coverage') send(JSON.stringify(coverage(this, url.searchParams)));
    else if (path === '/v1/receipt') send(json(receipt(this, url.searchParams, lengths)));
    else await this.page(path, response);
  }

  async page(path, response) {
    const name = normalize(path === '/' ? '/index.html' : path);
    try {
      const body = await readFile(join(dist, name));
      response.setHeader('Content-Security-Policy', policy);
      response.setHeader('Content-Type', kinds[extname(name)] ?? 'application/octet-stream');
      response.end(body);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  }
}

/** JSON in which the price texts are numbers with exactly those digits. */
export function json(messages) {
  return JSON.stringify(messages).replace(/"p":"([0-9.]+)"/g, '"p":$1');
}

function seeded(seed) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fake = await startFake({
    port: Number(process.argv[2] ?? 8123),
    history: Number(process.argv[3] ?? 7200),
  });
  console.log(fake.url);
}
