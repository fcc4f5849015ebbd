/** Looks for what keeps people with disabilities out, with axe-core. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { equal } from './harness.mjs';

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Holds a page, or a part of it, to WCAG 2.2 A and AA. */
export async function accessible(page, what, within = 'body') {
  await page.evaluate(source); // not a script element: the policy of the page forbids those of others
  const wrongs = await page.evaluate(async (part) => {
    const { violations } = await window.axe.run(part, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.failureSummary}`),
    );
  }, within);
  equal(wrongs, [], `barriers on ${what}`);
}
