/**
 * How well a query fits a text: higher is better, null when it does not fit. The
 * letters of the query must occur in order; a hit at the start or right after a
 * separator, and hits in a row, count more.
 */
export function fit(query: string, text: string): number | null {
  const wanted = query.toLowerCase().replace(/\s+/g, '');
  const found = text.toLowerCase();
  let score = 0;
  let at = 0;
  let previous = -2;
  for (const letter of wanted) {
    const here = found.indexOf(letter, at);
    if (here < 0) return null;
    const starts = here === 0 || /[^a-z0-9]/.test(found[here - 1] ?? '');
    score += starts ? 8 : here === previous + 1 ? 5 : 1;
    previous = here;
    at = here + 1;
  }
  // Of equal fits the shorter text is nearer to what was typed.
  return score - found.length / 100;
}

/** The items that fit, best first; all of them in their own order for an empty query. */
export function rank<T>(query: string, items: readonly T[], text: (item: T) => string): T[] {
  if (query.trim() === '') return [...items];
  return items
    .flatMap((item) => {
      const score = fit(query, text(item));
      return score === null ? [] : [{ item, score }];
    })
    .sort((a, b) => b.score - a.score)
    .map((hit) => hit.item);
}
