import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Relative URLs throughout (base './'), so that the same build serves from /,
// from behind a path prefix, and over https. The names of the files are made
// from their content, so that equal sources give equal bytes.
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    // Plotly is one deliberate 1.2 MB chunk, loaded only by the view that needs it.
    chunkSizeWarningLimit: 6000,
    rolldownOptions: {
      output: {
        entryFileNames: 'assets/[name]-[hash].js',
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
      },
    },
  },
  test: {
    include: ['test/unit/**/*.test.ts'],
  },
});
