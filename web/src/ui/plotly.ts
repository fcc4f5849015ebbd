import address from 'plotly.js-strict-dist-min/plotly-strict.min.js?url';

/** The few calls of Plotly that the live line makes; the package brings no types. */
export interface Plotly {
  react(
    host: HTMLElement,
    traces: readonly Trace[],
    layout: Readonly<Record<string, unknown>>,
    config?: Readonly<Record<string, unknown>>,
  ): Promise<unknown>;
  purge(host: HTMLElement): void;
  readonly Plots: { resize(host: HTMLElement): void };
}

interface Trace {
  readonly x: readonly (string | number)[];
  readonly y: readonly number[];
  readonly text?: readonly string[];
  readonly [option: string]: unknown;
}

declare global {
  interface Window {
    /** Set by the bundle once it has run. */
    Plotly?: Plotly;
  }
}

/**
 * Loads Plotly's strict bundle when it is first needed: as a script of its own, in the bytes that its makers ship. As a
 * part of our build its five megabytes would change their name and content with every change of the page.
 */
export function loadPlotly(): Promise<Plotly> {
  return new Promise((resolve, reject) => {
    if (window.Plotly) {
      resolve(window.Plotly);
      return;
    }
    const script = document.createElement('script');
    script.src = address;
    script.onload = () => {
      if (window.Plotly) resolve(window.Plotly);
      else reject(new Error('the bundle did not define Plotly'));
    };
    script.onerror = () => {
      script.remove();
      reject(new Error('the bundle did not load'));
    };
    document.head.append(script);
  });
}
