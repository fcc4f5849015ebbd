/** Browser tests of the time machine, coverage, receipts and downloads, against the fake server. */
import { chartOf, equal, liveChart, ok, until } from './harness.mjs';

const iso = (ms) => new Date(ms).toISOString();

/** What the page knows of the moment that it shows. */
export function momentOf(page) {
  return page.evaluate(() => {
    const { player, session, watch, row } = window.tapedeck;
    const ms = (at) => at && at.s * 1000 + at.ns / 1e6;
    const newest = session.print.trades[0];
    return {
      at: ms(player.at),
      /** The same to the nanosecond, as the server reads it. */
      exact: player.at && `${player.at.s}${String(player.at.ns).padStart(9, '0')}`,
      playing: player.playing,
      speed: player.speed,
      phase: session.phase,
      link: session.connection.phase,
      newestBar: (session.bars.at(-1)?.t ?? 0) * 1000,
      newestTrade: newest ? ms(newest.time) : 0,
      prices: Object.fromEntries(watch.rows.map((r) => [r.symbol, r.last])),
      row: row?.symbol,
    };
  });
}

/** The moment once it is shown, standing or running. */
export function shown(page, wanted) {
  return until('the moment is shown', async () => {
    const moment = await momentOf(page);
    return moment.phase === 'ready' && moment.link === 'live' && wanted(moment) && moment;
  });
}

export function pastTests(withFake) {
  return [
    withFake(
      'a link to a moment shows that moment, everywhere',
      { history: 900, rate: 4 },
      async (visitor, fake) => {
        const at = Date.now() - 300_000;
        const page = await visitor.open(`${fake.url}#symbol=SIM:AAPL&interval=1s&at=${iso(at)}`);
        const moment = await shown(page, (m) => m.at !== null && m.newestTrade > at - 5_000);
        ok(Math.abs(moment.at - at) < 2_000, `shows ${iso(moment.at)}, not ${iso(at)}`);
        ok(moment.newestBar <= moment.at, 'no bar is from later');
        ok(moment.newestTrade <= moment.at, 'trades of then');
        await until('the watch list of then', async () => {
          const { at: now, prices } = await momentOf(page);
          return [...fake.symbols.keys()].every(
            (symbol) => prices[symbol] === fake.known(symbol, now).at(-1).p,
          );
        });
        await page.getByRole('complementary', { name: 'Not live' }).waitFor();
        await page
          .getByRole('button', { name: 'Live', exact: true })
          .waitFor({ state: 'detached' });
        await until('a title that says so', async () =>
          (await page.title()).startsWith('Not live'),
        );
        equal(await page.locator('[aria-live="polite"]').innerText(), 'Not live', 'spoken word');
        // It stands still until it is told to play.
        const { at: before } = await momentOf(page);
        await page.keyboard.press('.');
        // One trade on, and the clock with it: the two are told one after the other.
        const stepped = await shown(page, (m) => m.at > before && m.newestTrade === m.at);
        ok(!stepped.playing, 'still standing');
        await page.keyboard.press('Space');
        await shown(page, (m) => m.playing && m.at > stepped.at + 500);
        ok(page.url().includes('speed=1'), page.url());
        await page.keyboard.press('+');
        await page.keyboard.press('+');
        await until('five times as fast', async () => (await momentOf(page)).speed === 5);
        await page.keyboard.press('Space');
        const still = await shown(page, (m) => !m.playing);
        ok(still.newestBar <= still.at, 'no bar is from later');
        await page.keyboard.press('Escape');
        const chart = await liveChart(page);
        equal(chart.tally.holes, 0, 'holes');
        ok(!page.url().includes('at='), page.url());
        // The way back leads to that moment.
        await page.goBack();
        // The server's word of where it stopped may come after `still` was looked at.
        await shown(page, (m) => {
          const said = Date.parse(new URLSearchParams(new URL(page.url()).hash.slice(1)).get('at'));
          return m.at !== null && m.at >= said - 1 && Math.abs(said - still.at) < 5_000;
        });
      },
    ),

    withFake(
      'the time line: dragged, by keys, and to where live begins',
      { history: 900, rate: 4 },
      async (visitor, fake) => {
        const page = await visitor.open(`${fake.url}#symbol=SIM:AAPL&interval=1s`);
        await liveChart(page);
        const line = page.getByRole('slider', { name: 'Moment' });
        await line.waitFor();
        equal(await line.getAttribute('aria-valuetext'), 'Live', 'what it says');
        const box = await line.boundingBox();
        const y = box.y + 15;
        await page.mouse.move(box.x + box.width - 12, y);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width / 2, y, { steps: 8 });
        await page.mouse.up();
        const middle = await shown(page, (m) => m.at !== null);
        const ago = Date.now() - middle.at;
        ok(ago > 300_000 && ago < 600_000, `about the middle of 15 minutes: ${ago} ms ago`);
        ok(middle.newestBar <= middle.at, 'no bar is from later');
        await line.focus();
        await page.keyboard.press('ArrowLeft');
        const earlier = await shown(page, (m) => m.at < middle.at);
        ok(middle.at - earlier.at < 5_000, 'one bar back');
        await page.keyboard.press('Home');
        await shown(page, (m) => m.at < Date.now() - 880_000);
        await page.keyboard.press('End');
        await liveChart(page);
        equal((await momentOf(page)).at, null, 'the present');
      },
    ),

    withFake(
      'a play goes over into live by itself, without a hole',
      { history: 300, rate: 8 },
      async (visitor, fake) => {
        const from = iso(Date.now() - 4_000);
        const page = await visitor.open(
          `${fake.url}#symbol=SIM:AAPL&interval=1s&at=${from}&speed=10`,
        );
        await until('live', async () => (await momentOf(page)).at === null);
        const chart = await liveChart(page);
        equal([chart.tally.holes, chart.tally.doubles], [0, 0], 'holes and doubles');
        ok(!page.url().includes('at='), page.url());
      },
    ),

    withFake(
      'a play that is too fast for single trades is followed by asking',
      { history: 30_000, rate: 1 },
      async (visitor, fake) => {
        const at = Date.now() - 20_000_000;
        const page = await visitor.open(
          `${fake.url}#symbol=SIM:AAPL&interval=1m&at=${iso(at)}&speed=10000`,
        );
        const moment = await shown(page, (m) => m.at > at + 5_000_000);
        await page.keyboard.press('Space');
        const still = await shown(page, (m) => !m.playing && m.newestBar > moment.at - 300_000);
        ok(still.newestBar <= still.at, 'no bar is from later');
        const { bars } = await chartOf(page);
        ok(
          bars.every((b, i) => i === 0 || b.t - bars[i - 1].t === 60),
          'bars without a hole',
        );
      },
    ),

    withFake(
      'the line breaks while playing: the page comes back to that moment',
      { history: 900, rate: 4 },
      async (visitor, fake) => {
        visitor.expected.push(/WebSocket connection/);
        const at = Date.now() - 600_000;
        const page = await visitor.open(
          `${fake.url}?symbol=SIM:AAPL&interval=1s&at=${iso(at)}&speed=5`,
        );
        await shown(page, (m) => m.at > at + 3_000);
        fake.refuse = true;
        fake.cutAll();
        await until('the page says so', () => page.getByText('Offline').isVisible());
        const { at: broken } = await momentOf(page);
        fake.refuse = false;
        const after = await shown(page, (m) => m.at > broken + 3_000);
        ok(after.playing && after.newestBar <= after.at, 'plays on');
        const { tally } = await chartOf(page);
        equal(tally.applied, tally.lastSeq - tally.firstSeq + 1, 'trades folded, each once');
      },
    ),

    withFake(
      'another symbol and interval are shown at the same moment',
      { history: 900, rate: 4 },
      async (visitor, fake) => {
        const at = Date.now() - 300_000;
        const page = await visitor.open(`${fake.url}#symbol=SIM:AAPL&interval=1s&at=${iso(at)}`);
        await shown(page, (m) => m.at !== null);
        await page.getByRole('link', { name: 'MSFT' }).click();
        await shown(page, (m) => m.row === 'SIM:MSFT' && Math.abs(m.at - at) < 2_000);
        await page.keyboard.press('2');
        const moment = await shown(page, (m) => m.newestBar <= m.at);
        equal((await chartOf(page)).interval, '5s', 'interval');
        ok(Math.abs(moment.at - at) < 2_000, 'the same moment');
        await page.keyboard.press('v');
        await page.getByText('up to this moment').waitFor();
      },
    ),

    withFake('a moment can be typed', { history: 900, rate: 2 }, async (visitor, fake) => {
      const page = await visitor.open(`${fake.url}#symbol=SIM:AAPL&interval=1s`, {
        timezoneId: 'Asia/Kolkata',
      });
      await liveChart(page, 1);
      await page.keyboard.press('g');
      const at = Math.floor(Date.now() / 1000 - 400) * 1000;
      const field = page.getByLabel('Go to (local time)');
      await field.fill(iso(at + 5.5 * 3600_000).slice(0, 19));
      await page.keyboard.press('Enter');
      await shown(page, (m) => m.at !== null && Math.abs(m.at - at) < 1_500);
    }),

    withFake(
      'a click on a candle opens its receipt, and the coverage strip says what is known',
      { history: 900, rate: 2 },
      async (visitor, fake) => {
        const now = Date.now();
        fake.covered = [
          [iso(now - 60_000), 'blind'],
          [iso(now - 40_000), 'live'],
        ];
        const page = await visitor.open(`${fake.url}#symbol=SIM:AAPL&interval=1s`);
        await liveChart(page, 1);
        await page.locator('.strip [data-state="blind"]').waitFor({ state: 'attached' });
        const strip = page.getByRole('slider', { name: /Coverage/ });
        await strip.focus();
        await until('the keys find the blind spot', async () => {
          await page.keyboard.press('ArrowLeft');
          return (await strip.getAttribute('aria-valuetext')).startsWith('blind');
        });
        await page.locator('.strip .told').getByText('we were not there').waitFor();
        await page.mouse.click(600, 300);
        const dialog = page.getByRole('dialog', { name: /^AAPL 1s/ });
        await dialog.getByText('These trades make exactly this bar.').waitFor();
        await dialog.getByText('Left out (1)').waitFor();
        await page.keyboard.press('Escape');
        await dialog.waitFor({ state: 'hidden' });
        // The same without a mouse; what is open takes Escape, not the time machine.
        await page.evaluate(() => document.activeElement?.blur());
        await page.mouse.move(1200, 700);
        await page.keyboard.press('[');
        await page.keyboard.press('[');
        await page.keyboard.press('Enter');
        await dialog.getByText('Left out (1)').waitFor();
        await dialog.getByRole('button', { name: 'Play from here' }).click();
        const moment = await shown(page, (m) => m.at !== null && m.playing);
        await page.keyboard.press('?');
        await page.getByRole('dialog', { name: 'Keys' }).waitFor();
        await page.keyboard.press('Escape');
        await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'hidden' });
        ok((await momentOf(page)).at >= moment.at, 'still in the past');
      },
    ),

    withFake(
      'what is on screen can be downloaded',
      { history: 900, rate: 2 },
      async (visitor, fake) => {
        const page = await visitor.open(`${fake.url}#symbol=SIM:AAPL&interval=1s`);
        await liveChart(page, 1);
        await page.getByRole('button', { name: 'Download' }).click();
        const links = await page.getByRole('link', { name: /CSV|Parquet/ }).all();
        const urls = await Promise.all(
          links.map(async (link) => new URL(await link.getAttribute('href'))),
        );
        equal(
          urls.map((u) => `${u.pathname} ${u.searchParams.get('format')}`),
          ['bars csv', 'bars parquet', 'trades csv', 'trades parquet'].map(
            (kind) => `/v2/stocks/SIM%3AAAPL/${kind}`,
          ),
          'files',
        );
        for (const { searchParams } of urls) {
          const [start, end] = ['start', 'end'].map((key) => Date.parse(searchParams.get(key)));
          ok(start < end && end - start < 600_000, `what fits the screen: ${searchParams}`);
        }
        equal(urls[0].searchParams.get('timeframe'), '1Sec', 'interval');
        await page.keyboard.press('Escape');
        await page.getByRole('link', { name: /CSV/ }).first().waitFor({ state: 'detached' });
      },
    ),

    withFake(
      'back and forth through more history than a page holds',
      { names: ['AAPL'], history: 100_000, rate: 1 },
      async (visitor, fake) => {
        const page = await visitor.open(`${fake.url}#symbol=SIM:AAPL&interval=5s`);
        await liveChart(page, 1);
        // As far out as the wheel zooms, then by the hand.
        await page.mouse.move(700, 300);
        const began = Math.floor(Date.now() / 1000) - 60;
        const first = Date.parse(fake.known('SIM:AAPL')[0].t) / 1000;
        for (let i = 0; i < 30; i++) await page.mouse.wheel(0, 400);
        await until(
          'the beginning',
          async () => {
            await page.mouse.move(100, 300);
            await page.mouse.down();
            await page.mouse.move(800, 300, { steps: 12 });
            await page.mouse.up();
            const { bars } = await chartOf(page);
            ok(bars.length <= 20_000, `${bars.length} bars are held`);
            const hole = bars.find((b, i) => i > 0 && b.t < began && b.t !== bars[i - 1].t + 5);
            ok(hole === undefined, `a hole before ${hole?.t}, ${began - hole?.t} s before now`);
            return bars[0].t <= first;
          },
          120_000,
        );
        ok(
          (await chartOf(page)).bars.at(-1).t < Date.now() / 1000 - 10_000,
          'newer ones let go of',
        );
        await page.keyboard.press('Alt+r');
        const chart = await liveChart(page, 2);
        ok(chart.bars.at(-1).t > Date.now() / 1000 - 30, 'back at the newest');
        ok(chart.bars.length < 10_000, `a screen of them: ${chart.bars.length}`);
      },
    ),
  ];
}
