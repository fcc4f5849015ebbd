/** Takes the pictures of the README. */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { liveChart, Server, until } from './harness.mjs';

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
            'sim://?symbols=AAPL,MSFT,NVDA,AMZN,GOOGL,META,TSLA,JPM,SPY,QQQ,BTC-USD,ETH-USD&rate=8/s&seed=4',
          );
          await until(
            'two minutes of market',
            async () => {
              const rows = await server.json('history?limit=1000&symbol=SIM:AAPL');
              const span = Date.now() - Date.parse(rows.at(-1)?.timestamp ?? new Date());
              return span > 110_000 || rows.length === 1000;
            },
            180_000,
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
            await page.screenshot({ path: `${folder}${name}.png` });
          }
        } finally {
          await visitor.close();
          await server.close();
        }
      },
    },
  ];
}
