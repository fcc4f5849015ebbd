/** The colours that a chart draws with. CSS colours; read from the page's custom properties. */
export interface Palette {
  readonly background: string;
  readonly text: string;
  readonly dim: string;
  readonly grid: string;
  readonly border: string;
  readonly crosshair: string;
  readonly label: string;
  readonly up: string;
  readonly down: string;
  readonly upVolume: string;
  readonly downVolume: string;
  readonly line: string;
  readonly areaTop: string;
  readonly areaBottom: string;
  readonly hatch: string;
}

/**
 * Reads the palette that holds at an element, theme and colour choice applied.
 * A probe resolves the custom properties to plain colours: a canvas knows neither
 * `var()` nor `light-dark()`.
 */
export function paletteOf(element: Element): Palette {
  const probe = document.createElement('span');
  probe.hidden = true;
  element.append(probe);
  const get = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const palette: Palette = {
    background: get('--chart-bg'),
    text: get('--text'),
    dim: get('--dim'),
    grid: get('--grid'),
    border: get('--border'),
    crosshair: get('--crosshair'),
    label: get('--label'),
    up: get('--up'),
    down: get('--down'),
    upVolume: get('--up-volume'),
    downVolume: get('--down-volume'),
    line: get('--line'),
    areaTop: get('--area-top'),
    areaBottom: get('--area-bottom'),
    hatch: get('--hatch'),
  };
  probe.remove();
  return palette;
}
