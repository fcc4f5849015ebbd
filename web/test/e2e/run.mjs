/**
 * Runs the browser tests: `npm run e2e`, or `npm run e2e -- part of a name`.
 *
 * TAPEDECK_BIN names the binary under test; without it only the tests against
 * the fake server run. CHROMIUM_BIN names the browser. UPDATE_SCREENSHOTS=1 has
 * the pictures of the README taken anew.
 */
import { fakeTests } from './fake.mjs';
import { openBrowser, Visitor } from './harness.mjs';
import { realTests } from './real.mjs';
import { screenshots } from './screenshots.mjs';

const wanted = process.argv.slice(2).join(' ').toLowerCase();
const binary = process.env.TAPEDECK_BIN;

const tests = [
  ...fakeTests,
  ...(binary ? realTests(binary) : []),
  ...(process.env.UPDATE_SCREENSHOTS === '1' ? screenshots(binary) : []),
].filter((test) => test.name.toLowerCase().includes(wanted));

if (!binary) console.log('TAPEDECK_BIN is not set: skipping the tests against a real server');

const browser = await openBrowser();
let failed = 0;
for (const { name, run } of tests) {
  const visitor = new Visitor(browser);
  const began = Date.now();
  try {
    await run(visitor);
    if (visitor.wrongs.length > 0) throw new Error('the page did what no page may do');
    console.log(`ok    ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(
      `FAIL  ${name}\n      ${String(error.stack ?? error).replaceAll('\n', '\n      ')}`,
    );
    for (const wrong of new Set(visitor.wrongs)) console.log(`      ${wrong}`);
  } finally {
    await visitor.close();
  }
}
await browser.close();
console.log(`${tests.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 || tests.length === 0 ? 1 : 0;
