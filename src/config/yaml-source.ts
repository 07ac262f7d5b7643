/**
 * YAML text → a tree of what is written, where.
 *
 * Scalars are kept as text: `0123`, `1e5` and `yes` mean what a directive's own type says, never
 * what YAML would make of them. The tree knows three shapes; what a proxy configuration has no use
 * for (anchors, aliases, tags, merge keys) is reported and becomes Broken, which readers skip
 * because its mistake is already told.
 */
import {
  isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node, type Scalar, type YAMLMap,
} from 'yaml';
import type { Place, Remarks } from './remarks.js';
import { quoted } from './remarks.js';

export interface WrittenScalar {
  readonly kind: 'scalar';
  readonly place: Place;
  readonly text: string;
  readonly isAbsent: boolean;              // `key:` with nothing behind it
  placeOf(index: number): Place;           // where the character at `index` of the text stands
}

export interface WrittenList {
  readonly kind: 'list';
  readonly place: Place;
  readonly isFlow: boolean;                // [a, b] rather than dashes
  readonly items: readonly Written[];
}

export interface WrittenEntry {
  readonly key: string;
  readonly place: Place;
  readonly value: Written;
}

export interface WrittenMap {
  readonly kind: 'map';
  readonly place: Place;
  readonly isFlow: boolean;
  readonly isWhole: boolean;               // false: an entry was refused, and its mistake told
  readonly entries: readonly WrittenEntry[];
}

export interface WrittenBroken {
  readonly kind: 'broken';
  readonly place: Place;
}

export type Written = WrittenScalar | WrittenList | WrittenMap | WrittenBroken;

/**
 * To YAML an unquoted `[::1]:6380` is a list followed by rubbish, but it is how everybody writes
 * the address. Its brackets are swapped for private characters of the same length while YAML
 * looks, so that positions stay true.
 */
const BARE_IPV6 = /^([ \t]*(?:-[ \t]+|[a-z_]+:[ \t]+))\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\](?=:\d)/gm;
const PRIVATE_CHARACTERS = 0xe000;

/** Two characters that the text neither contains nor can make by an escape. */
function unusedCharacters(text: string): [open: string, close: string] {
  const unused: string[] = [];
  const lower = text.toLowerCase();
  for (let code = PRIVATE_CHARACTERS; unused.length < 2; code++) {
    const character = String.fromCharCode(code);
    if (!text.includes(character) && !lower.includes(code.toString(16))) unused.push(character);
  }
  return [unused[0], unused[1]];
}

/**
 * Reads one document. Returns null when there is nothing to look at: the text is empty, or its
 * syntax is broken (reported to `mistakes`).
 */
export function readYaml(text: string, mistakes: Remarks): Written | null {
  const brackets = unusedCharacters(text);
  const [open, close] = brackets;
  const source = text.replace(/^\uFEFF/, '').replace(BARE_IPV6, `$1${open}$2${close}`);
  const lineCounter = new LineCounter();
  const document = parseDocument(source, {
    schema: 'failsafe', uniqueKeys: false, prettyErrors: false, lineCounter,
  });
  const reader = new Reader(source, brackets, lineCounter, mistakes);
  let lastLine = 0;
  for (const error of document.errors) {
    const place = reader.placeAt(error.pos[0]);
    if (place.line === lastLine) continue; // what follows on the same line is an echo of the first
    lastLine = place.line;
    mistakes.add(place, 'yaml', syntaxMessage(error.code, error.message));
  }
  if (document.errors.length > 0 || document.contents === null) return null;
  return reader.read(document.contents as Node, 'configuration');
}

function syntaxMessage(code: string, message: string): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here, allowed: one per file';
  if (code === 'TAB_AS_INDENT') return 'a tab indents this line, allowed: spaces';
  if (code === 'BLOCK_AS_IMPLICIT_KEY') {
    return 'a second "key: value" on one line, allowed: one (quote a value that contains ": ")';
  }
  if (message.startsWith('Implicit map keys need to be followed')) {
    return 'a name without a colon, allowed: "directive: value"';
  }
  if (/^Missing closing ["']quote/.test(message)) {
    return 'a quote opened before is not closed, allowed: quotes in pairs';
  }
  const lower = message.charAt(0).toLowerCase() + message.slice(1).replaceAll('\n', ' ');
  return `${lower}, allowed: valid YAML`;
}

class Reader {
  readonly #source: string;
  readonly #brackets: readonly [open: string, close: string];
  readonly #lineCounter: LineCounter;
  readonly #mistakes: Remarks;

  constructor(
    source: string, brackets: readonly [string, string], lineCounter: LineCounter,
    mistakes: Remarks,
  ) {
    this.#source = source;
    this.#brackets = brackets;
    this.#lineCounter = lineCounter;
    this.#mistakes = mistakes;
  }

  placeAt(offset: number): Place {
    const { line, col } = this.#lineCounter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  read(node: Node, directive: string): Written {
    const offset = node.range?.[0] ?? 0;
    const place = this.placeAt(offset);
    if (isAlias(node)) {
      this.#mistakes.add(place, directive,
        `${quoted(`*${node.source}`)} is an alias, allowed: the value itself ` +
        '(in quotes if it begins with *)');
      return { kind: 'broken', place };
    }
    if (this.#hasDecoration(node, place, directive)) return { kind: 'broken', place };
    if (isScalar(node)) return this.#readScalar(node as Scalar<string>, offset, place);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.read(item as Node, directive));
      return { kind: 'list', place, isFlow: node.flow === true, items };
    }
    if (isMap(node)) return this.#readMap(node, place);
    this.#mistakes.add(place, directive, 'is not understood, allowed: a value, list or mapping');
    return { kind: 'broken', place };
  }

  #hasDecoration(
    node: { anchor?: string; tag?: string }, place: Place, directive: string,
  ): boolean {
    if (node.anchor !== undefined) {
      this.#mistakes.add(place, directive,
        `has the anchor ${quoted(`&${node.anchor}`)}, allowed: the value without it`);
      return true;
    }
    if (node.tag !== undefined) {
      this.#mistakes.add(place, directive,
        `has the tag ${quoted(node.tag)}, allowed: the value without it`);
      return true;
    }
    return false;
  }

  #readScalar(node: Scalar<string>, offset: number, place: Place): WrittenScalar {
    const text = this.#withBrackets(node.value);
    const isPlain = node.type === 'PLAIN';
    const start = isPlain ? offset : offset + 1;
    const isVerbatim = this.#source.startsWith(node.value, start);
    return {
      kind: 'scalar',
      place,
      text,
      isAbsent: isPlain && text === '',
      placeOf: (index) => (isVerbatim && index > 0 ? this.placeAt(start + index) : place),
    };
  }

  #readMap(node: YAMLMap, place: Place): WrittenMap {
    const entries: WrittenEntry[] = [];
    let isWhole = true;
    const firstLines = new Map<string, number>();
    for (const pair of node.items) {
      const entry = this.#readEntry(pair.key as Node, pair.value as Node | null);
      if (entry === null) {
        isWhole = false;
        continue;
      }
      const firstLine = firstLines.get(entry.key);
      if (firstLine !== undefined) {
        this.#mistakes.add(entry.place, entry.key,
          `is a duplicate, allowed: once (the first is on line ${firstLine})`);
        continue;
      }
      firstLines.set(entry.key, entry.place.line);
      entries.push(entry);
    }
    return { kind: 'map', place, isFlow: node.flow === true, isWhole, entries };
  }

  #readEntry(key: Node, value: Node | null): WrittenEntry | null {
    const offset = key.range?.[0] ?? 0;
    const place = this.placeAt(offset);
    if (!isScalar(key) || typeof key.value !== 'string') {
      this.#mistakes.add(place, 'configuration', 'this key is not a name, allowed: plain names');
      return null;
    }
    const name = this.#withBrackets(key.value);
    if (name === '<<' && key.type === 'PLAIN') {
      this.#mistakes.add(place, name, 'merge keys are not known, allowed: the directives in full');
      return null;
    }
    if (this.#hasDecoration(key, place, name)) return null;
    const nothing: WrittenScalar =
      { kind: 'scalar', place, text: '', isAbsent: true, placeOf: () => place };
    return { key: name, place, value: value === null ? nothing : this.read(value, name) };
  }

  #withBrackets(text: string): string {
    const [open, close] = this.#brackets;
    return text.replaceAll(open, '[').replaceAll(close, ']');
  }
}
