/** Browser tests of the page of feeds. */
import { eventfulFeeds } from '../fake/feeds.mjs';
import { accessible } from './axe.mjs';
import { equal, liveChart, ok, until } from './harness.mjs';

const phone = {
  viewport: { width: 360, height: 740 },
  isMobile: true,
  hasTouch: true,
  deviceScaleFactor: 2,
};

/** Tests against the fake server. */
export function feedTests(withFake) {
  return [
    withFake('the page of feeds says what each has been through', {}, async (visitor, fake) => {
      fake.feeds = eventfulFeeds();
      const page = await visitor.open(fake.url);
      await liveChart(page, 1);
      await page.keyboard.press('f');
      const table = page.getByRole('table');
      await table.getByRole('rowheader', { name: 'coinbase' }).waitFor();
      await until('a title of its own', async () => (await page.title()) === 'Feeds · Tapedeck');
      equal(await table.getByRole('rowheader').count(), 3, 'feeds');
      await table.getByText('refused by the venue: not authenticated').waitFor();
      const details = page.getByText('DOGE-XYZ is not a valid product');
      equal(await details.count(), 0, 'details before they are asked for');
      const button = page.getByRole('button', { name: 'coinbase' });
      await button.focus();
      await page.keyboard.press('Enter');
      await details.waitFor();
      equal(await button.getAttribute('aria-expanded'), 'true', 'expanded');
      for (const text of [
        'Filled, 57 ticks fetched',
        'Not filled',
        'not running',
        '12 ms behind ours',
      ])
        await page.getByText(text, { exact: true }).first().waitFor();
      await page.getByRole('img', { name: /^Venue to here: 645 messages/ }).waitFor();

      // It is kept current, and what was opened stays open.
      fake.feeds = { ...fake.feeds, feeds: fake.feeds.feeds.slice(0, 2) };
      fake.feeds.feeds[1].error = 'no route to host';
      await table.getByText('no route to host').waitFor();
      equal(await table.getByRole('rowheader').count(), 2, 'feeds after one has gone');
      await details.waitFor();

      for (const scheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme: scheme });
        await accessible(page, `the page of feeds, ${scheme}`);
      }

      // Keys of the chart do nothing here; back and Escape lead to it.
      await page.keyboard.press('l');
      ok(page.url().includes('page=feeds') && !page.url().includes('view='), page.url());
      await page.goBack();
      await liveChart(page, 1);
      await page.getByRole('region', { name: 'Chart' }).waitFor();
      await page.goForward();
      await table.waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('region', { name: 'Watch list' }).waitFor();
      await page.getByRole('link', { name: 'Feeds' }).click();
      await page.getByRole('button', { name: 'coinbase' }).click();
      await page.getByRole('link', { name: 'BTC-USD' }).click();
      await until('the chart of it', () => page.url().endsWith('#symbol=COINBASE:BTC-USD'));
      await page.getByRole('region', { name: 'Chart' }).waitFor();
    }),

    withFake('the page of feeds on a phone', {}, async (visitor, fake) => {
      fake.feeds = eventfulFeeds();
      const page = await visitor.open(`${fake.url}#page=feeds`, phone);
      await page.getByRole('button', { name: 'coinbase' }).tap();
      await page.getByText('DOGE-XYZ is not a valid product').waitFor();
      const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
      ok(wide <= 360, `nothing sticks out: ${wide} of 360`);
      const small = await page.evaluate(() =>
        [...document.querySelectorAll('header a, header button, .feeds button, .feeds a')]
          .map((e) => ({
            name: e.textContent.trim() || e.ariaLabel,
            box: e.getBoundingClientRect(),
          }))
          .filter(({ box }) => box.width > 0 && (box.height < 43.5 || box.width < 43.5))
          .map(({ name, box }) => `${name} ${box.width} × ${box.height}`),
      );
      equal(small, [], 'targets smaller than a finger');
      await accessible(page, 'the page of feeds on a phone');
      await page.getByRole('link', { name: 'Chart' }).tap();
      await liveChart(page, 1);
    }),

    withFake('no feeds: the page says what to do', {}, async (visitor, fake) => {
      visitor.expected.push(/503/);
      fake.broken = true;
      const page = await visitor.open(`${fake.url}#page=feeds`);
      const main = page.getByRole('main');
      await main.getByText('the store is still opening').waitFor();
      fake.feeds = { feeds: [], sent: null };
      fake.broken = false;
      await main.getByText('No feeds.', { exact: true }).waitFor();
      await main.getByText('tapedeck serve --feed').waitFor();
      await accessible(page, 'the page without feeds');
    }),
  ];
}

/** A test against a real server. */
export function realFeeds(withServer) {
  return withServer('the page of feeds of a real market', async (visitor, server) => {
    const page = await visitor.open(`${server.url}#page=feeds`);
    const row = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: 'sim' }) });
    await row.getByText('Live').waitFor();
    // Alone it is open, and the market is measured from its first tick on.
    await page.getByRole('img', { name: /^Venue to here: / }).waitFor();
    await page.getByRole('img', { name: /^Here to tape: / }).waitFor();
    await page.getByRole('link', { name: 'NVDA' }).waitFor();
    await page.getByText('None since the server started.').waitFor();
    const { feeds } = await server.json('v1/feeds');
    equal(feeds[0].carried, ['SIM:AAPL', 'SIM:MSFT', 'SIM:NVDA', 'SIM:SPY'], 'symbols');
    equal([feeds[0].symbols, feeds[0].connections, feeds[0].reconnects], [4, 1, 0], 'counts');
    ok(feeds[0].delays.taped.p99 > 0, 'the way to the tape is measured');

    // What streams hear is measured as well: this page's chart is the first of them.
    await page.getByRole('link', { name: 'AAPL' }).click();
    await liveChart(page, 5);
    await page.keyboard.press('f');
    await page.getByRole('img', { name: /^Tape to clients: / }).waitFor();
    const text = await page.locator('body').innerText();
    ok(!/NaN|undefined|null|Infinity/.test(text), text);
    await accessible(page, 'the page of feeds of a real market');
  });
}
