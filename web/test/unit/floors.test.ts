import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/**
 * What each floor may import. The TypeScript project references hold the same for
 * the .ts files; the compiler does not look into .svelte files, so this does.
 */
const floors: Readonly<Record<string, readonly string[]>> = {
  market: ['market'],
  net: ['market', 'net'],
  chart: ['market', 'chart'],
  state: ['market', 'net', 'chart', 'state'],
  // Components know state and drawing, never the network.
  ui: ['market', 'chart', 'state', 'ui'],
  app: ['market', 'net', 'chart', 'state', 'ui', 'app'],
};

const packages: Readonly<Record<string, readonly string[]>> = {
  market: [],
  net: [],
  chart: ['lightweight-charts'],
  state: [],
  ui: ['svelte', 'plotly.js-strict-dist-min/plotly-strict.min.js?url'],
  app: ['svelte'],
};

const source = fileURLToPath(new URL('../../src', import.meta.url));

function imports(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8');
  const pattern = /(?:^| |\})(?:from |import\()'([^'\n]+)'|^\s*import '([^'\n]+)'/gm;
  return [...text.matchAll(pattern)].map((m) => m[1] ?? m[2] ?? '');
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((f) =>
  /\.(ts|svelte)$/.test(f),
);

describe('floors', () => {
  it('are all known', () => {
    const found = new Set(files.map((f) => f.split('/')[0]));
    expect([...found].sort()).toEqual(Object.keys(floors).sort());
  });

  it.each(files)('%s stays on its floor', (file) => {
    const floor = file.split('/')[0] ?? '';
    for (const name of imports(file)) {
      if (name.startsWith('.')) {
        const target = relative(source, resolve(source, dirname(file), name)).split('/')[0];
        expect(floors[floor], `${file} imports ${name}`).toContain(target);
      } else expect(packages[floor], `${file} imports ${name}`).toContain(name);
    }
  });
});
