/** Takes the pictures of the README. */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chartOf, liveChart, Server, until } from './harness.mjs';
import { shown } from './past.mjs';

const folder = fileURLToPath(new URL('../../../docs/img/', import.meta.url));

export function screenshots(binary) {
  if (!binary) return [];
  return [
    {
      name: 'screenshots',
      async run(visitor) {
        const server = new Server(binary);
        try {
          await server.start(
            'sim://?symbols=AAPL,MSFT,NVDA,AMZN,GOOGL,META,TSLA,JPM,SPY,QQQ,BTC-USD,ETH-USD&rate=400/s&seed=4',
          );
          // Enough seconds to fill the chart.
          await until(
            'two and a half minutes of market',
            async () => (await server.bars('SIM:AAPL', '1Sec', 200)).length > 150,
            240_000,
          );
          mkdirSync(folder, { recursive: true });
          for (const [colorScheme, name] of [
            ['light', 'dashboard'],
            ['dark', 'dashboard-dark'],
          ]) {
            const page = await visitor.open(`${server.url}#symbol=SIM:AAPL&interval=1s`, {
              viewport: { width: 1440, height: 860 },
              timezoneId: 'UTC',
              colorScheme,
            });
            await liveChart(page, 10);
            await until('every sparkline', () =>
              page.evaluate(() => window.tapedeck.watch.rows.every((row) => row.spark.length > 5)),
            );
            // The first frames carry what had piled up while the page loaded; the picture shows the usual.
            const settled = async () => (await chartOf(page)).tally.delay < 25;
            await until('the usual delay', settled, 20_000).catch(() => undefined);
            await page.screenshot({ path: `${folder}${name}.png` });
          }
          const at = new Date(Date.now() - 60_000).toISOString();
          const page = await visitor.open(
            `${server.url}#symbol=SIM:AAPL&interval=1s&at=${at}&speed=2`,
            { viewport: { width: 1440, height: 860 }, timezoneId: 'UTC' },
          );
          await shown(page, (m) => m.at > Date.parse(at) + 4_000);
          await page.locator('.strip [data-state]').first().waitFor({ state: 'attached' });
          await until('every sparkline', () =>
            page.evaluate(() => window.tapedeck.watch.rows.every((row) => row.spark.length > 5)),
          );
          await page.screenshot({ path: `${folder}past-dark.png` });
        } finally {
          await visitor.close();
          await server.close();
        }
      },
    },
  ];
}
