/** The few calls of Plotly that the live line makes; the package brings no types. */
declare module 'plotly.js-strict-dist-min' {
  interface Trace {
    readonly x: readonly (string | number)[];
    readonly y: readonly number[];
    readonly text?: readonly string[];
    readonly [option: string]: unknown;
  }
  interface Plotly {
    react(
      host: HTMLElement,
      traces: readonly Trace[],
      layout: Readonly<Record<string, unknown>>,
      config?: Readonly<Record<string, unknown>>,
    ): Promise<unknown>;
    purge(host: HTMLElement): void;
    readonly Plots: { resize(host: HTMLElement): void };
  }
  const plotly: Plotly;
  export default plotly;
}
