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
/** Runs a test once; returns what was wrong, or null. */
async function attempt(run) {
  const visitor = new Visitor(browser);
  try {
    await run(visitor);
    if (visitor.wrongs.length > 0) throw new Error('the page did what no page may do');
    return null;
  } catch (error) {
    const lines = String(error.stack ?? error).replaceAll('\n', '\n      ');
    return [lines, ...new Set(visitor.wrongs)].join('\n      ');
  } finally {
    await visitor.close();
  }
}

for (const { name, run } of tests) {
  const began = Date.now();
  // Once more, and not without a word: a browser on a busy machine may draw a frame later than a test expects.
  const first = await attempt(run);
  const wrong = first === null ? null : await attempt(run);
  const took = ((Date.now() - began) / 1000).toFixed(1);
  if (first !== null) console.log(`WRONG ${name}\n      ${first}`);
  if (wrong === null) {
    console.log(`ok    ${name} (${took} s${first === null ? '' : ', at the second attempt'})`);
  } else {
    failed++;
    console.log(`FAIL  ${name}\n      ${wrong}`);
  }
}
await browser.close();
console.log(`${tests.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 || tests.length === 0 ? 1 : 0;
