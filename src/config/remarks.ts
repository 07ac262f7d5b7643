/**
 * What is said about a configuration file: mistakes and warnings, each at a place in the text.
 *
 * The operator gets all of them at once, in the order of the file, one line each:
 *   nutcracker.yml:4:12: timeout: "fast" is not a time, allowed: ...
 */

/** A position in the file; both count from 1, columns count characters. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

interface Remark {
  readonly place: Place;
  readonly directive: string;
  readonly text: string;
}

export class Remarks {
  readonly file: string;
  #remarks: Remark[] = [];

  constructor(file: string) {
    this.file = file;
  }

  get isEmpty(): boolean {
    return this.#remarks.length === 0;
  }

  add(place: Place, directive: string, text: string): void {
    this.#remarks.push({ place, directive, text });
  }

  /** The finished lines, sorted by place; remarks on one place keep their order. */
  lines(): string[] {
    const byPlace = (a: Remark, b: Remark): number =>
      a.place.line - b.place.line || a.place.column - b.place.column;
    return [...this.#remarks].sort(byPlace).map(({ place, directive, text }) =>
      `${this.file}:${place.line}:${place.column}: ${directive}: ${text}`);
  }
}

/** Thrown when a configuration cannot be used. `mistakes` holds a finished line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'));
    this.mistakes = mistakes;
  }
}

/** Text from the file as a message shows it: quoted, on one line, and never long. */
export function quoted(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(short);
}
