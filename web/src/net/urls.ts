/** Where the server is: everything hangs from the page's own address. */
export interface Server {
  /** The address of a REST resource such as `v1/symbols`. */
  rest(path: string, query?: Readonly<Record<string, string | number>>): string;
  /** The address of a WebSocket such as `v2/tape`; `wss` when the page came over https. */
  socket(path: string, query?: Readonly<Record<string, string | number>>): string;
}

/**
 * Addresses relative to `base` (the document's base URI), so that the page works
 * at the root, under a path prefix, and over https without being told.
 */
export function serverAt(base: string): Server {
  const resolve = (path: string, query: Readonly<Record<string, string | number>>): URL => {
    const url = new URL(path, base);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value));
    return url;
  };
  return {
    rest: (path, query = {}) => resolve(path, query).href,
    socket(path, query = {}) {
      const url = resolve(path, query);
      url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
      return url.href;
    },
  };
}
