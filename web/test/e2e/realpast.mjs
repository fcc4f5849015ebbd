/** The time machine, coverage, receipts and downloads with the server that the page is built into. */
import { chartOf, equal, liveChart, ok, until } from './harness.mjs';
import { momentOf, shown } from './past.mjs';

const iso = (ms) => new Date(ms).toISOString();

/** The server's own bars as of a moment, oldest first, in the form that the page has. */
async function barsAsOf(server, at, from) {
  const query = new URLSearchParams({
    timeframe: '1Sec',
    start: iso(from),
    limit: 1000,
    at,
  });
  const { bars } = await server.json(`v2/stocks/SIM%3AAAPL/bars?${query}`);
  return bars.map((b) => ({
    t: Date.parse(b.t) / 1000,
    ...Object.fromEntries(['o', 'h', 'l', 'c', 'v', 'n'].map((key) => [key, b[key]])),
  }));
}

/** The page stands still at a moment, and has exactly the bars that the server says were there then. */
async function sameAsThen(page, server) {
  await until('the bars of that moment', async () => {
    const { exact, playing } = await momentOf(page);
    ok(!playing, 'it stands still');
    const { bars } = await chartOf(page);
    const mine = bars.map((b) => ({ t: b.t, o: +b.o, h: +b.h, l: +b.l, c: +b.c, v: +b.v, n: b.n }));
    const theirs = await barsAsOf(server, exact, mine[0].t * 1000);
    equal(mine, theirs, `bars as of ${exact}`);
    return mine.length > 3;
  });
}

export function realPast(withServer, sameBars) {
  return [
    withServer(
      'the past plays as it was, and live goes on without a hole',
      async (visitor, server) => {
        const page = await visitor.open(`${server.url}#symbol=SIM:AAPL&interval=1s`);
        await liveChart(page, 3);
        await until('some seconds of market', async () => (await chartOf(page)).bars.length > 12);
        const began = (await chartOf(page)).bars[0].t * 1000;
        const at = began + 6_000;
        await page.goto(`${server.url}#symbol=SIM:AAPL&interval=1s&at=${iso(at)}&speed=1`);
        const moment = await shown(page, (m) => m.at > at + 1_000);
        ok(moment.at < Date.now() - 3_000, 'it is the past');
        ok(
          moment.newestBar <= moment.at && moment.newestTrade <= moment.at,
          'nothing is from later',
        );
        await page.getByRole('complementary', { name: 'Not live' }).waitFor();
        await until('the clock runs', async () => (await momentOf(page)).at > moment.at + 1_000);
        await page.keyboard.press('Space');
        const still = await shown(page, (m) => !m.playing);
        await sameAsThen(page, server);
        const { tally } = await chartOf(page);
        equal(tally.applied, tally.lastSeq - tally.firstSeq + 1, 'trades, each once');
        // One trade on, then one more.
        for (let step = 1; step <= 2; step++) {
          const { at: before, newestTrade } = await momentOf(page);
          await page.keyboard.press('.');
          const next = await shown(page, (m) => m.at > before);
          ok(next.newestTrade >= newestTrade && next.newestTrade <= next.at + 1, 'one trade on');
        }
        await sameAsThen(page, server);
        ok((await momentOf(page)).at < still.at + 30_000, 'not far from there');
        // A deep link is that moment, also after loading the page anew.
        await page.reload();
        await shown(page, (m) => m.at !== null && !m.playing && m.at >= still.at - 1);
        await page.keyboard.press('Escape');
        const live = await liveChart(page, 5);
        equal([live.tally.holes, live.tally.doubles], [0, 0], 'holes and doubles');
        await sameBars(page, server, '1Sec');
      },
    ),

    withServer('the watch list shows the same moment', async (visitor, server) => {
      await until('some seconds of market', async () => {
        const { trades } = await server.json(
          'v2/stocks/SIM%3AAAPL/trades?start=1970-01-01T00:00:00Z&limit=1000',
        );
        return Date.now() - Date.parse(trades[0].t) > 10_000;
      });
      const at = Date.now() - 5_000;
      const page = await visitor.open(`${server.url}#symbol=SIM:MSFT&interval=1s&at=${iso(at)}`);
      await shown(page, (m) => m.at !== null);
      await until('the prices of then', async () => {
        const { exact, prices } = await momentOf(page);
        const { symbols } = await server.json(`v1/symbols?at=${exact}`);
        return symbols.every((s) => +prices[s.symbol].replaceAll(',', '') === s.last.p);
      });
    }),

    withServer('faster than trades can be told one by one', async (visitor, server) => {
      const page = await visitor.open(`${server.url}#symbol=SIM:AAPL&interval=1s`);
      await liveChart(page, 3);
      await until('some seconds of market', async () => (await chartOf(page)).bars.length > 10);
      await page.getByRole('slider', { name: 'Moment' }).focus();
      await page.keyboard.press('Home');
      await shown(page, (m) => m.at !== null);
      await page.getByLabel('Speed').selectOption('max');
      await page.getByRole('button', { name: 'Play', exact: true }).click();
      await until('it plays up to the present', async () => (await momentOf(page)).at === null);
      const chart = await liveChart(page, 3);
      equal([chart.tally.holes, chart.tally.doubles], [0, 0], 'holes and doubles');
      await sameBars(page, server, '1Sec');
    }),

    withServer(
      'kill -9 while playing: the page comes back to that moment',
      async (visitor, server) => {
        visitor.expected.push(
          /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|Failed to fetch|WebSocket connection|status of 503/,
        );
        const page = await visitor.open(`${server.url}#symbol=SIM:AAPL&interval=1s`);
        await liveChart(page, 3);
        await until('some seconds of market', async () => (await chartOf(page)).bars.length > 15);
        const at = (await chartOf(page)).bars[0].t * 1000 + 4_000;
        await page.goto(`${server.url}#symbol=SIM:AAPL&interval=1s&at=${iso(at)}&speed=0.5`);
        await shown(page, (m) => m.at > at + 700);
        await server.kill();
        await until('the page says so', () => page.getByText('Offline').isVisible());
        const broken = await momentOf(page);
        await server.start(server.feed);
        const after = await shown(page, (m) => m.at > broken.at + 700);
        ok(after.playing && after.speed === 0.5, 'it plays on as before');
        await page.keyboard.press('Space');
        await shown(page, (m) => !m.playing);
        await sameAsThen(page, server);
        await page.keyboard.press('Escape');
        await liveChart(page, 3);
        await sameBars(page, server, '1Sec');
      },
    ),

    withServer('receipt, coverage and files are those of the server', async (visitor, server) => {
      const page = await visitor.open(`${server.url}#symbol=SIM:AAPL&interval=1s`);
      await liveChart(page, 5);
      await page.locator('.strip [data-state="live"]').first().waitFor({ state: 'attached' });
      await page.keyboard.press('[');
      await page.keyboard.press('[');
      await page.keyboard.press('[');
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog', { name: /^AAPL 1s/ });
      await dialog.getByText('These trades make exactly this bar.').waitFor();
      await dialog.getByRole('row', { name: /^Volume .* trades? / }).waitFor();
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'hidden' });
      await page.getByRole('button', { name: 'Download' }).click();
      const links = await page.getByRole('link', { name: /CSV|Parquet/ }).all();
      equal(links.length, 4, 'files');
      for (const link of links) {
        const url = await link.getAttribute('href');
        const response = await fetch(url);
        const bytes = new Uint8Array(await response.arrayBuffer());
        ok(
          response.ok,
          `${url}: ${response.status} ${new TextDecoder().decode(bytes.slice(0, 300))}`,
        );
        const start = new TextDecoder().decode(bytes.slice(0, 6));
        equal(
          start,
          url.includes('parquet') ? start.replace(/^..../, 'PAR1') : 'symbol',
          'what it is',
        );
        ok(bytes.length > 200, `${url}: rows`);
      }
    }),
  ];
}
