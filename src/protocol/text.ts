/**
 * Small readings of argument bytes that commands share: words in any case, integers as Redis
 * reads them, glob patterns as in KEYS and CONFIG GET.
 */

/** Whether the bytes spell an ASCII word, in any case. `word` may be of either case itself. */
export function isWord(bytes: Uint8Array, word: string): boolean {
  if (bytes.length !== word.length) return false;
  for (let i = 0; i < word.length; i += 1) {
    if (lowerOf(bytes[i]) !== lowerOf(word.charCodeAt(i))) return false;
  }
  return true;
}

/**
 * The integer that the bytes spell, or null. As strict as Redis: no sign but '-', no leading
 * zeros, no spaces; within the integers that a double holds exactly.
 */
export function integerOf(bytes: Uint8Array): number | null {
  if (bytes.length === 0 || bytes.length > 17) return null;
  const text = String.fromCharCode(...bytes);
  if (!/^(0|-?[1-9][0-9]*)$/.test(text)) return null;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : null;
}

/** Whether the bytes may be a client's name: printable ASCII without blanks, or nothing. */
export function isClientWord(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte > 0x20 && byte < 0x7f);
}

/**
 * Whether `text` matches the glob `pattern`: `*`, `?`, `[a-z]`, `[^a]`, `\` takes the next
 * character literally. Letters match in any case when `ignoreCase` is set.
 */
export function isGlobMatch(pattern: string, text: string, ignoreCase = false): boolean {
  return ignoreCase
    ? matchFrom(pattern.toLowerCase(), 0, text.toLowerCase(), 0)
    : matchFrom(pattern, 0, text, 0);
}

/** A star that fails later is tried with one more character, the latest star first. */
function matchFrom(pattern: string, p: number, text: string, t: number): boolean {
  let starAt = -1;
  let starText = 0;
  for (;;) {
    if (pattern[p] === '*') {
      starAt = p;
      starText = t;
      p += 1;
      continue;
    }
    const next = t < text.length && p < pattern.length ? matchOne(pattern, p, text[t]) : -1;
    if (next >= 0) {
      p = next;
      t += 1;
      continue;
    }
    if (p === pattern.length && t === text.length) return true;
    if (starAt < 0 || starText === text.length) return false;
    starText += 1;
    p = starAt + 1;
    t = starText;
  }
}

/** The position after the pattern's element at `p` when it matches `char`, else -1. */
function matchOne(pattern: string, p: number, char: string): number {
  switch (pattern[p]) {
    case '?': return p + 1;
    case '[': return matchClass(pattern, p + 1, char);
    case '\\':
      if (p + 1 < pattern.length) return pattern[p + 1] === char ? p + 2 : -1;
      return char === '\\' ? p + 1 : -1;
    default: return pattern[p] === char ? p + 1 : -1;
  }
}

/** A class without its `]` ends with the pattern, as in Redis. */
function matchClass(pattern: string, start: number, char: string): number {
  const isNegated = pattern[start] === '^';
  let isIn = false;
  let p = isNegated ? start + 1 : start;
  for (; p < pattern.length && pattern[p] !== ']'; p += 1) {
    if (pattern[p] === '\\' && p + 1 < pattern.length) {
      p += 1;
      isIn ||= pattern[p] === char;
    } else if (pattern[p + 1] === '-' && p + 2 < pattern.length) {
      const [low, high] = [pattern[p], pattern[p + 2]].sort();
      isIn ||= char >= low && char <= high;
      p += 2;
    } else {
      isIn ||= pattern[p] === char;
    }
  }
  if (isIn === isNegated) return -1;
  return Math.min(p + 1, pattern.length);
}

function lowerOf(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
