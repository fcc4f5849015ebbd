import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

const dist = new URL('../../dist/', import.meta.url);
const read = (name: string): Buffer => readFileSync(new URL(name, dist));
const html = read('index.html').toString();
const assets = readdirSync(new URL('assets/', dist));

describe('the built page', () => {
  it('loads in at most 150 KB, the library of the live line aside', () => {
    const first = [
      'index.html',
      ...assets.filter((n) => !n.startsWith('plotly')).map((n) => `assets/${n}`),
    ];
    const size = first.reduce((sum, name) => sum + gzipSync(read(name)).length, 0);
    expect(size).toBeLessThanOrEqual(150_000);
  });

  it('asks for nothing but its own relative files, and brings no inline script', () => {
    const links = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((m) => m[1] ?? '');
    expect(links.length).toBeGreaterThanOrEqual(3);
    for (const link of links) expect(link).toMatch(/^\.\/(assets\/)?[\w.-]+$/);
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)/);
    expect(html).not.toMatch(/\son\w+=/);
  });

  it('leaves the library of the live line out of the first load', () => {
    expect(html).not.toContain('plotly');
  });

  it('builds no code from text, which its policy forbids', () => {
    for (const name of assets.filter((n) => n.endsWith('.js') && !n.startsWith('plotly'))) {
      expect(read(`assets/${name}`).toString()).not.toMatch(/\beval\(|new Function\(/);
    }
  });
});
