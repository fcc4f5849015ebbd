/** What the browser tests share: the browser, the server, and a page that notices any wrong. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

/** How long anything may take before the test gives up, in milliseconds. Nothing waits this long on purpose. */
const patience = 30_000;

const browsers = [
  process.env.CHROMIUM_BIN,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

export async function openBrowser() {
  const executablePath = browsers.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('no Chromium found: install it, or name it in CHROMIUM_BIN');
  // Root has no sandbox of its own to offer; the pages are ours.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath, args });
}

/** Opens pages and collects what no page may do: log errors, break the policy, ask strangers. */
export class Visitor {
  constructor(browser) {
    this.browser = browser;
    this.wrongs = [];
    this.contexts = [];
    /** Console errors that a test brings about on purpose. */
    this.expected = [];
  }

  async open(url, options = {}) {
    const context = await this.browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: 'en-US',
      timezoneId: 'America/New_York',
      colorScheme: 'dark',
      ...options,
    });
    this.contexts.push(context);
    context.setDefaultTimeout(patience);
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    const page = await context.newPage();
    const host = new URL(url).host;
    const check = (address) => {
      const { protocol, host: to } = new URL(address);
      if (protocol !== 'data:' && protocol !== 'blob:' && to !== host) {
        this.wrongs.push(`asked a stranger: ${address}`);
      }
    };
    page.on('request', (request) => check(request.url()));
    page.on('websocket', (socket) => check(socket.url()));
    page.on('pageerror', (error) => this.wrongs.push(`uncaught: ${error.stack}`));
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return;
      if (this.expected.some((pattern) => pattern.test(message.text()))) return;
      this.wrongs.push(`console ${message.type()}: ${message.text()}`);
    });
    await page.goto(url);
    return page;
  }

  /** Closes the pages: before their server ends, lest they complain about that. */
  async close() {
    await Promise.all(this.contexts.splice(0).map((context) => context.close()));
  }
}

/** A real server with a data folder of its own. */
export class Server {
  constructor(binary) {
    this.binary = binary;
    this.data = mkdtempSync(join(tmpdir(), 'tapedeck-e2e-'));
    this.output = '';
  }

  async start(feed = 'sim://?symbols=AAPL,MSFT,NVDA,SPY&rate=80/s&seed=1') {
    this.feed = feed;
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}/`;
    this.process = spawn(
      this.binary,
      ['serve', '--listen', `127.0.0.1:${this.port}`, '--data', this.data, '--feed', feed],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const keep = (chunk) => (this.output = (this.output + chunk).slice(-8000));
    this.process.stdout.on('data', keep);
    this.process.stderr.on('data', keep);
    await until(`the server is ready`, async () => {
      if (this.process.exitCode !== null) throw new Fatal(`the server ended:\n${this.output}`);
      const response = await fetch(`${this.url}readyz`).catch(() => null);
      return response?.ok;
    });
    return this;
  }

  /** Kills it as a crash does: no goodbye to anyone. */
  async kill() {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }

  async close() {
    await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }

  /** The newest bars of a symbol, newest first. */
  async bars(symbol, timeframe, limit) {
    const query = new URLSearchParams({
      timeframe,
      limit,
      sort: 'desc',
      start: '1970-01-01T00:00:00Z',
    });
    return (await this.json(`v2/stocks/${encodeURIComponent(symbol)}/bars?${query}`)).bars;
  }

  async json(path) {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

class Fatal extends Error {}

/** Waits until a condition holds, asking often. Errors in between are part of waiting. */
export async function until(what, condition, limit = patience) {
  const end = Date.now() + limit;
  let last;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      last = undefined;
    } catch (error) {
      if (error instanceof Fatal) throw error;
      last = error;
    }
    if (Date.now() > end) {
      throw new Error(`gave up waiting: ${what}${last ? ` (${last.message})` : ''}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function freePort() {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** What the page knows of its chart. */
export function chartOf(page) {
  return page.evaluate(() => {
    const { session, watch, row } = window.tapedeck;
    return {
      symbol: row?.symbol ?? null,
      phase: session.phase,
      interval: session.interval.id,
      bars: session.bars.map(({ t, o, h, l, c, v, n }) => ({ t, o, h, l, c, v, n })),
      holes: session.gaps.holes,
      tally: { ...session.tally },
      stream: { ...session.connection },
      watch: { ...watch.connection },
      prices: Object.fromEntries(watch.rows.map((r) => [r.symbol, r.last])),
    };
  });
}

/** The chart once it shows live trades: at least `trades` of them. */
export function liveChart(page, trades = 3) {
  return until('live trades on the chart', async () => {
    const chart = await chartOf(page);
    return chart.phase === 'ready' && chart.tally.applied >= trades && chart;
  });
}

export function equal(got, want, what) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(`${what}: got ${a}, want ${b}`);
}

export function ok(value, what) {
  if (!value) throw new Error(what);
}
