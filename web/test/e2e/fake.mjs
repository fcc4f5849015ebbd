/** Browser tests of what a real server does too seldom to wait for. */
import { startFake } from '../fake/server.mjs';
import { alertTests } from './alerts.mjs';
import { feedTests } from './feeds.mjs';
import { chartOf, equal, liveChart, ok, until } from './harness.mjs';
import { pastTests } from './past.mjs';

/** A test with a fake server that ends with it. */
function withFake(name, options, run) {
  return {
    name,
    async run(visitor) {
      const fake = await startFake(options);
      try {
        await run(visitor, fake);
      } finally {
        await visitor.close();
        await fake.stop();
      }
    },
  };
}

/** The trades that the page folded are all that there were, once. */
function unbroken({ tally }) {
  equal(tally.holes, 0, 'holes');
  equal(tally.doubles, 0, 'doubles');
  equal(tally.applied, tally.lastSeq - tally.firstSeq + 1, 'trades folded');
}

export const fakeTests = [
  withFake(
    'a hole in the data is a break in the chart',
    { history: 600 },
    async (visitor, fake) => {
      const page = await visitor.open(`${fake.url}#symbol=SIM:AAPL&interval=1s&view=line`);
      await liveChart(page);
      fake.quiet = true;
      const from = new Date(Date.now() - 500).toISOString();
      const to = new Date(Date.now() + 4000).toISOString();
      fake.push({ T: 'gap', S: 'SIM:AAPL', from, to, reason: 'the venue dropped the line' });
      await until('the hole is known', async () => (await chartOf(page)).holes.length === 1);
      const s = fake.symbols.get('SIM:AAPL');
      for (const later of [5000, 6000]) {
        fake.trade(s, Date.now() + later);
        for (const client of fake.clients) fake.feed(client);
      }
      const chart = await until('the trades after it', async () => {
        const now = await chartOf(page);
        return now.bars.at(-1).t * 1000 > Date.parse(to) && now;
      });
      unbroken(chart);
      await page.getByText('1 gap').waitFor();
    },
  ),

  withFake('a cursor that is too old has history loaded anew', {}, async (visitor, fake) => {
    const page = await visitor.open(fake.url);
    const before = await liveChart(page);
    fake.epoch = 'two';
    fake.cutAll();
    const after = await until('a reload and live again', async () => {
      const chart = await chartOf(page);
      return (
        chart.stream.reloads === 1 &&
        chart.stream.phase === 'live' &&
        chart.phase === 'ready' &&
        chart
      );
    });
    ok(after.bars.length >= before.bars.length, 'the bars are still there');
    unbroken(await liveChart(page));
  }),

  withFake('a missing trade number is noticed and mended', {}, async (visitor, fake) => {
    const page = await visitor.open(fake.url);
    await liveChart(page);
    const s = fake.symbols.get('SIM:AAPL');
    const lost = fake.entries.length;
    fake.trade(s, Date.now());
    const [dropped] = fake.entries.splice(lost, 1);
    fake.tick();
    fake.trade(s, Date.now());
    for (const client of fake.clients) fake.feed(client);
    fake.entries.splice(lost, 0, dropped);
    await until('the page loads history anew', async () => {
      const chart = await chartOf(page);
      return chart.tally.holes === 1 && chart.stream.reloads === 1 && chart.phase === 'ready';
    });
  }),

  withFake(
    'a frame that is no frame costs a reconnect, nothing else',
    {},
    async (visitor, fake) => {
      const page = await visitor.open(fake.url);
      await liveChart(page);
      for (const broken of ['{"T":', '[{"T":"t","S":"SIM:AAPL","p":"NaN"}]', 'hello'])
        fake.say(broken);
      await until('back by the cursor', async () => {
        const chart = await chartOf(page);
        return (
          chart.stream.resumes >= 1 && chart.stream.phase === 'live' && chart.watch.phase === 'live'
        );
      });
      const chart = await liveChart(page);
      unbroken(chart);
      equal(chart.stream.reloads, 0, 'reloads');
    },
  ),

  withFake('a server that is not ready yet is waited for', {}, async (visitor, fake) => {
    visitor.expected.push(/503/);
    fake.broken = true;
    const page = await visitor.open(fake.url);
    await page.getByText('the store is still opening').waitFor();
    fake.broken = false;
    await liveChart(page);
  }),

  withFake(
    'no symbols, no trades: the page says what to do',
    { names: [], rate: 0 },
    async (visitor, fake) => {
      fake.trouble = 'no such file';
      const page = await visitor.open(fake.url);
      const list = page.getByRole('region', { name: 'Watch list' });
      await list.getByText('sim: no such file').waitFor();
      await list.getByText('No symbols yet.').waitFor();
      await page.getByText('tapedeck serve --feed').waitFor();
    },
  ),

  withFake(
    'a symbol that nobody knows yet appears with its first tick',
    {},
    async (visitor, fake) => {
      const page = await visitor.open(`${fake.url}#symbol=SIM:NEW`);
      await page.getByText('SIM:NEW is not known here yet.').waitFor();
      fake.symbols.set('SIM:NEW', {
        symbol: 'SIM:NEW',
        name: 'NEW',
        price: 5000,
        seq: 0,
        state: 'live',
      });
      const chart = await liveChart(page, 1);
      equal(chart.symbol, 'SIM:NEW', 'symbol');
    },
  ),

  withFake(
    'a symbol without trades begins with the first one',
    { history: 0, rate: 0 },
    async (visitor, fake) => {
      const page = await visitor.open(fake.url);
      await page.getByText('No trades of AAPL on the tape yet.').waitFor();
      fake.tick();
      fake.tick();
      fake.tick();
      await liveChart(page, 1);
    },
  ),

  withFake(
    'stale, down and closed are said in words',
    { names: ['A', 'B', 'C'] },
    async (visitor, fake) => {
      const page = await visitor.open(fake.url);
      await liveChart(page);
      for (const [name, state] of [
        ['A', 'stale'],
        ['B', 'down'],
        ['C', 'closed'],
      ]) {
        fake.symbols.get(`SIM:${name}`).state = state;
        fake.say({ T: 'status', S: `SIM:${name}`, feed: 'sim', state });
      }
      const table = page.locator('.watch');
      for (const state of ['stale', 'down', 'closed']) await table.getByText(state).waitFor();
    },
  ),

  withFake(
    'five hundred symbols cost no more rows than fit',
    {
      names: Array.from({ length: 500 }, (_, i) => `S${String(i).padStart(3, '0')}`),
      history: 20,
      rate: 2,
    },
    async (visitor, fake) => {
      const page = await visitor.open(fake.url);
      await liveChart(page, 1);
      const drawn = () => page.locator('.watch tbody tr:not(.pad)').count();
      ok((await drawn()) < 60, `${await drawn()} rows are drawn`);
      await page.locator('.scroller').evaluate((e) => (e.scrollTop = e.scrollHeight));
      await page.getByRole('link', { name: 'S499' }).waitFor();
      ok((await drawn()) < 60, `${await drawn()} rows are drawn at the end`);
    },
  ),

  withFake(
    'older bars come while scrolling back',
    { history: 200_000, rate: 2 },
    async (visitor, fake) => {
      const page = await visitor.open(`${fake.url}#symbol=SIM:AAPL&interval=1m`);
      const before = await liveChart(page, 1);
      const shift = () => page.keyboard.press('Shift+ArrowLeft');
      await until('more bars than the first page had', async () => {
        for (let i = 0; i < 20; i++) await shift();
        return (await chartOf(page)).bars.length > before.bars.length + 500;
      });
      const { bars } = await chartOf(page);
      ok(
        bars.every((b, i) => i === 0 || b.t > bars[i - 1].t),
        'the bars are in order',
      );
    },
  ),

  withFake('a hidden page goes on where it was', {}, async (visitor, fake) => {
    const page = await visitor.open(fake.url);
    await liveChart(page);
    const hide = (hidden) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await hide(true);
    await until(
      'the stream of the chart is off',
      async () => (await chartOf(page)).stream.phase === 'off',
    );
    const away = (await chartOf(page)).tally.lastSeq;
    await until('trades go by', () => fake.symbols.get('SIM:AAPL').seq > away + 5);
    await hide(false);
    const chart = await until('they are caught up with', async () => {
      const now = await chartOf(page);
      return now.tally.lastSeq > away + 5 && now;
    });
    unbroken(chart);
    equal(chart.stream.reloads, 0, 'reloads');
  }),

  ...pastTests(withFake),
  ...feedTests(withFake),
  ...alertTests(withFake),
];
