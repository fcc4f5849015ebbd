/** Browser tests of the page together with the server that it is built into. */
import { realAlerts } from './alerts.mjs';
import { realFeeds } from './feeds.mjs';
import { chartOf, equal, liveChart, ok, Server, until } from './harness.mjs';
import { startProxy } from './proxy.mjs';
import { realPast } from './realpast.mjs';
import { plainStreams } from './stream.mjs';

/** A test with a server of its own, stopped and wiped afterwards. */
function withServer(binary, name, run) {
  return {
    name,
    async run(visitor) {
      const server = new Server(binary);
      try {
        await server.start();
        await until('some history', async () => {
          const rows = await server.json('history?limit=40&symbol=SIM:AAPL');
          return rows.length >= 10;
        });
        await run(visitor, server);
      } catch (error) {
        error.message += `\n--- the server said:\n${server.output}`;
        throw error;
      } finally {
        await visitor.close();
        await server.close();
      }
    },
  };
}

const seconds = (text) => Date.parse(text) / 1000;

/** The bars of the server that have closed, in the form that the page has. */
async function closedBars(server, timeframe, before) {
  const bars = await server.bars('SIM:AAPL', timeframe, 1000);
  return bars
    .map((b) => ({ t: seconds(b.t), o: b.o, h: b.h, l: b.l, c: b.c, v: b.v, n: b.n }))
    .filter((b) => b.t < before)
    .sort((a, b) => a.t - b.t);
}

const numbers = (bars) =>
  bars.map((b) => ({ t: b.t, o: +b.o, h: +b.h, l: +b.l, c: +b.c, v: +b.v, n: b.n }));

/** The page's bars are the server's, from the page's first on, except the forming one. */
async function sameBars(page, server, timeframe) {
  await until('the bars of page and server are equal', async () => {
    const mine = numbers((await chartOf(page)).bars);
    const before = mine.at(-1).t;
    const theirs = (await closedBars(server, timeframe, before)).filter((b) => b.t >= mine[0].t);
    const closed = mine.slice(0, -1).slice(-theirs.length);
    equal(closed, theirs.slice(-closed.length), 'closed bars');
    return closed.length > 0;
  });
}

export function realTests(binary) {
  return [
    withServer(binary, 'plain WebSocket and EventSource, with resume', plainStreams),

    withServer(
      binary,
      'history is there at the first paint, then it goes on live',
      async (visitor, server) => {
        const page = await visitor.open(`${server.url}#symbol=SIM:AAPL&interval=1s`);
        // The first state that is not loading already has bars in it.
        await page.locator('.view[data-phase="ready"]').waitFor();
        const first = await chartOf(page);
        ok(first.bars.length > 0, 'bars at the first paint');
        const later = await liveChart(page, 5);
        ok(later.tally.lastSeq > later.tally.firstSeq, 'trades keep coming');
        equal(
          later.tally.applied,
          later.tally.lastSeq - later.tally.firstSeq + 1,
          'trades, each once',
        );
        ok(later.bars.length >= first.bars.length, 'bars grow');
        await until('a tab title with price, arrow and name', async () =>
          /^[\d,]+\.\d+ [▲▼]?\d+\.\d% AAPL$/.test(await page.title()),
        );
        await page.getByText('Simulated market').waitFor();
        await page.getByRole('table').getByText('SIM', { exact: true }).first().waitFor();
        await sameBars(page, server, '1Sec');
      },
    ),

    withServer(
      binary,
      'a bare address opens the first symbol with candles that move',
      async (visitor, server) => {
        const page = await visitor.open(server.url);
        const chart = await liveChart(page, 3);
        ok(chart.symbol.startsWith('SIM:'), chart.symbol);
        const rows = page.locator('.watch tbody tr:not(.pad)');
        equal(await rows.count(), 4, 'rows of the watch list');
        await until('every row has a price', async () => {
          const { prices } = await chartOf(page);
          return Object.values(prices).every((p) => /^[\d,]+\.\d+$/.test(p));
        });
        const text = await page.locator('body').innerText();
        ok(!/NaN|undefined|null|Infinity|-0\.00/.test(text), text);
      },
    ),

    withServer(
      binary,
      'kill -9 and restart: the page goes on without reload and without a hole',
      async (visitor, server) => {
        visitor.expected.push(
          /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|Failed to fetch|WebSocket connection|status of 503/,
        );
        const page = await visitor.open(`${server.url}#symbol=SIM:AAPL&interval=1s`);
        await page.evaluate(() => (window.sameDocument = true));
        const before = await liveChart(page, 5);
        for (let round = 1; round <= 2; round++) {
          await server.kill();
          await until('the page says so', () => page.getByText('Offline').isVisible());
          await server.start(server.feed);
          await until(`resumed ${round} times and live`, async () => {
            const { stream, watch } = await chartOf(page);
            return stream.resumes === round && stream.phase === 'live' && watch.phase === 'live';
          });
          const was = (await chartOf(page)).tally.applied;
          await until('new trades', async () => (await chartOf(page)).tally.applied > was + 5);
        }
        const after = await chartOf(page);
        equal(after.stream.reloads, 0, 'reloads of history');
        equal(after.tally.firstSeq, before.tally.firstSeq, 'the first trade number');
        equal([after.tally.holes, after.tally.doubles], [0, 0], 'holes and doubles');
        equal(
          after.tally.applied,
          after.tally.lastSeq - after.tally.firstSeq + 1,
          'trades, each once',
        );
        ok(await page.evaluate(() => window.sameDocument), 'the document is the same');
        await sameBars(page, server, '1Sec');
        await until('the dot is quiet again', () =>
          page.getByText('Live', { exact: true }).first().isVisible(),
        );
      },
    ),

    withServer(
      binary,
      'the live line: 50 points, drawn by a library that is loaded only now',
      async (visitor, server) => {
        const page = await visitor.open(server.url);
        const asked = [];
        page.on('request', (request) => asked.push(request.url()));
        await liveChart(page, 1);
        ok(!asked.some((url) => url.includes('plotly')), 'not loaded before it is needed');
        await page.getByRole('button', { name: 'Live line' }).click();
        await page
          .locator('.js-plotly-plot .scatterlayer path.js-line')
          .waitFor({ state: 'attached' });
        ok(
          asked.some((url) => url.includes('plotly')),
          'loaded now',
        );
        const line = () => page.locator('.scatterlayer path.js-line').getAttribute('d');
        const first = await line();
        await until('it moves', async () => (await line()) !== first);
        await until(
          '50 points',
          async () => (await page.locator('.view').getAttribute('data-points')) === '50',
        );
        await page.getByRole('button', { name: 'Candles' }).click();
        await liveChart(page, 1);
      },
    ),

    withServer(binary, 'behind a path prefix', async (visitor, server) => {
      const proxy = await startProxy(server.url, '/deck/');
      try {
        const page = await visitor.open(`${proxy.url}#symbol=SIM:MSFT&interval=1s`);
        const chart = await liveChart(page, 3);
        equal(chart.symbol, 'SIM:MSFT', 'symbol');
        equal(chart.watch.phase, 'live', 'watch list');
        await page.keyboard.press('v');
        await page
          .locator('.js-plotly-plot .scatterlayer path.js-line')
          .waitFor({ state: 'attached' });
      } finally {
        proxy.close();
      }
    }),

    withServer(binary, 'the keyboard is enough', async (visitor, server) => {
      const page = await visitor.open(`${server.url}#symbol=SIM:AAPL`);
      await liveChart(page, 1);
      await page.keyboard.press('/');
      await page.getByRole('combobox', { name: 'Symbol or venue' }).fill('nvd');
      await page.getByRole('option', { name: 'NVDA' }).waitFor();
      await page.keyboard.press('Enter');
      await until('NVDA', async () => (await chartOf(page)).symbol === 'SIM:NVDA');
      ok(page.url().includes('symbol=SIM:NVDA'), page.url());
      await page.keyboard.press('7');
      await until('days', async () => (await chartOf(page)).interval === '1D');
      await page.keyboard.press('1');
      await until('seconds', async () => (await chartOf(page)).interval === '1s');
      await page.goBack();
      await page.goBack();
      await page.goBack();
      await until('AAPL again', async () => (await chartOf(page)).symbol === 'SIM:AAPL');
      const { symbol: at } = await chartOf(page);
      await page.keyboard.press('ArrowDown');
      await until('the next symbol', async () => (await chartOf(page)).symbol !== at);
      await page.keyboard.press('?');
      await page.getByRole('dialog', { name: 'Keys' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' });
      // Escape and the next key in one task of the page: nobody's fingers are too fast.
      await page.keyboard.press('/');
      await page.getByRole('combobox', { name: 'Symbol or venue' }).waitFor();
      await Promise.all([page.keyboard.press('Escape'), page.keyboard.press('l')]);
      await until('the line', () => page.url().includes('view=line'));
      await page.keyboard.press('u');
      await page.locator('footer').getByText('UTC').waitFor();
      await page.keyboard.press('Tab');
      const outline = await page.evaluate(
        () => getComputedStyle(document.activeElement).outlineStyle,
      );
      ok(outline !== 'none', `the focus is visible: ${outline}`);
    }),

    withServer(binary, 'on a phone', async (visitor, server) => {
      for (const width of [390, 360]) {
        const page = await visitor.open(server.url, {
          viewport: { width, height: 780 },
          isMobile: true,
          hasTouch: true,
          deviceScaleFactor: 2,
        });
        await liveChart(page, 2);
        const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
        ok(wide <= width, `nothing sticks out: ${wide} of ${width}`);
        const small = await page.evaluate(() =>
          [...document.querySelectorAll('header button, .deck button, .watch td a')]
            .map((e) => ({
              name: e.textContent.trim() || e.ariaLabel,
              box: e.getBoundingClientRect(),
            }))
            .filter(({ box }) => box.width > 0 && (box.height < 43.5 || box.width < 43.5))
            .map(({ name, box }) => `${name} ${box.width} × ${box.height}`),
        );
        equal(small, [], 'targets smaller than a finger');
        const cut = await page.evaluate(() =>
          [...document.querySelectorAll('header button')]
            .map((e) => ({
              name: e.textContent.trim() || e.ariaLabel,
              box: e.getBoundingClientRect(),
            }))
            .filter(({ box }) => box.width > 0 && (box.right > innerWidth || box.left < 0))
            .map(({ name }) => name),
        );
        equal(cut, [], 'buttons that stick out');
      }
    }),

    withServer(
      binary,
      'every control has a name, the list is a table, the states are spoken',
      async (visitor, server) => {
        const page = await visitor.open(server.url);
        await liveChart(page, 1);
        const nameless = await page.evaluate(() =>
          [...document.querySelectorAll('button, a, input')]
            .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.title))
            .map((e) => e.outerHTML),
        );
        equal(nameless, [], 'controls without a name');
        equal(await page.locator('.watch th[scope="col"]').count(), 5, 'column headings');
        equal(await page.locator('[aria-live="polite"]').count(), 1, 'live regions');
        equal(await page.locator('h1').count(), 1, 'headings of the page');
      },
    ),

    withServer(binary, 'light, dark, and the colours of the east', async (visitor, server) => {
      const page = await visitor.open(server.url, { colorScheme: 'light' });
      await liveChart(page, 1);
      const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = await ground();
      await page.emulateMedia({ colorScheme: 'dark' });
      await until('dark by the system', async () => (await ground()) !== light);
      await page.getByRole('button', { name: 'Settings' }).click();
      await page.getByRole('button', { name: 'Light', exact: true }).click();
      await until('light by choice', async () => (await ground()) === light);
      await page.getByRole('button', { name: 'Red up' }).click();
      await page.reload();
      await liveChart(page, 1);
      equal(await ground(), light, 'the choice is kept');
      equal(
        await page.evaluate(() => document.documentElement.dataset.colours),
        'red-up',
        'colours',
      );
    }),

    realFeeds((name, run) => withServer(binary, name, run)),
    realAlerts((name, run) => withServer(binary, name, run)),
    ...realPast((name, run) => withServer(binary, name, run), sameBars),
  ];
}
