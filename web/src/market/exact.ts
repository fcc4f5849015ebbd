/**
 * A JSON reader that keeps the digits.
 *
 * `JSON.parse` turns `187.420` and `0.1` into binary floats, after which the
 * digits that the venue sent are gone. This reader gives every number as the
 * text that stood in the message; who wants to compute with it converts it at
 * the last moment. (`JSON.parse` with `context.source` would do the same, but
 * not in every browser, and one path is easier to trust than two.)
 */

/** A JSON value in which a number is the text that was sent. */
export type Exact = string | boolean | null | Exact[] | ExactObject;

/** A JSON object as `readExact` gives it. */
export interface ExactObject {
  [key: string]: Exact;
}

/** Deeper nesting than this is refused; no message of ours is deeper than 6. */
const maxDepth = 64;

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/** Reads one JSON text. Throws `SyntaxError` naming the place when it is not JSON. */
export function readExact(text: string): Exact {
  const reader = new Reader(text);
  return reader.whole();
}

class Reader {
  private at = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  whole(): Exact {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) this.fail('end of text');
    return value;
  }

  private value(depth: number): Exact {
    if (depth > maxDepth) this.fail(`at most ${String(maxDepth)} levels`);
    this.space();
    switch (this.text.charCodeAt(this.at)) {
      case 0x7b: // {
        return this.object(depth);
      case 0x5b: // [
        return this.array(depth);
      case 0x22: // "
        return this.string();
      case 0x74: // t
        return this.word('true', true);
      case 0x66: // f
        return this.word('false', false);
      case 0x6e: // n
        return this.word('null', null);
      default:
        return this.number();
    }
  }

  private object(depth: number): ExactObject {
    const out: ExactObject = {};
    this.at++;
    this.space();
    if (this.take('}')) return out;
    for (;;) {
      this.space();
      if (this.text[this.at] !== '"') this.fail('a key');
      const key = this.string();
      this.space();
      if (!this.take(':')) this.fail('":"');
      const value = this.value(depth + 1);
      // An own "__proto__" would change the object instead of being a key of it.
      if (key !== '__proto__') out[key] = value;
      this.space();
      if (this.take('}')) return out;
      if (!this.take(',')) this.fail('"," or "}"');
    }
  }

  private array(depth: number): Exact[] {
    const out: Exact[] = [];
    this.at++;
    this.space();
    if (this.take(']')) return out;
    for (;;) {
      out.push(this.value(depth + 1));
      this.space();
      if (this.take(']')) return out;
      if (!this.take(',')) this.fail('"," or "]"');
    }
  }

  private string(): string {
    const start = this.at + 1;
    let end = this.text.indexOf('"', start);
    if (end < 0) this.fail('the end of a string');
    const plain = this.text.slice(start, end);
    if (!/[\\\p{Cc}]/u.test(plain)) {
      this.at = end + 1;
      return plain;
    }
    // Rare: escapes. Find the real end and let the platform decode the piece.
    end = start;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === '\\' ? 2 : 1;
    let decoded: unknown;
    try {
      decoded = JSON.parse(this.text.slice(start - 1, end + 1));
    } catch {
      decoded = undefined;
    }
    if (typeof decoded !== 'string') return this.fail('a string');
    this.at = end + 1;
    return decoded;
  }

  private number(): string {
    numberPattern.lastIndex = this.at;
    const match = numberPattern.exec(this.text);
    if (!match) return this.fail('a value');
    this.at += match[0].length;
    return match[0];
  }

  private word<T extends Exact>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail('a value');
    this.at += word.length;
    return value;
  }

  private take(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at++;
    }
  }

  private fail(wanted: string): never {
    throw new SyntaxError(`not JSON: want ${wanted} at character ${String(this.at)}`);
  }
}
