import { mount } from 'svelte';
import { numberStyle } from '../market/format.ts';
import { writeInstant } from '../market/instant.ts';
import { openLine } from '../net/line.ts';
import { Rest } from '../net/rest.ts';
import { serverAt } from '../net/urls.ts';
import { Desk } from '../state/desk.svelte.ts';
import '../ui/theme.css';
import App from './App.svelte';

/** The browser's storage, or null where it is forbidden. */
function storage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

const server = serverAt(document.baseURI);
const desk = new Desk({
  server,
  rest: new Rest(server),
  dial: () => openLine(server.socket('v2/tape')),
  dialAt: (from, speed) =>
    openLine(server.socket('v2/tape', { from: writeInstant(from), speed: String(speed) })),
  style: numberStyle(),
  storage: storage(),
});

const target = document.getElementById('app');
if (target === null) throw new Error('BUG: index.html has no #app');
mount(App, { target, props: { desk } });

// For the curious at the console, and for the browser tests: what the page knows.
Object.assign(window, { tapedeck: desk });
