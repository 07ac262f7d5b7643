/** Lines of aligned columns: numbers to the right, words to the left. */
export type Cell = string | number | null; // null: nothing is known

/** `header` and rows of as many cells; each line is indented by two. */
export function aligned(header: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const isNumber = header.map((_, column) => rows.length > 0
    && rows.every((row) => typeof row[column] !== 'string' || isAmount(row[column])));
  const texts = [header, ...rows.map((row) => row.map(textOf))];
  const widths = header.map((_, column) =>
    texts.reduce((most, row) => Math.max(most, row[column]!.length), 0));
  return texts.map((row) => `  ${row.map((text, column) =>
    isNumber[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!))
    .join('  ')}`.trimEnd());
}

/** Names to the left of their values. */
export function listed(entries: readonly (readonly [string, Cell])[]): string[] {
  const width = entries.reduce((most, [name]) => Math.max(most, name.length), 0);
  return entries.map(([name, value]) => `  ${name.padEnd(width)}  ${textOf(value)}`.trimEnd());
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB'] as const;

/** For people: the largest unit in which it is at least 1. */
export function bytesText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

function isAmount(text: string): boolean {
  return /^[\d.]+ (bytes|KiB|MiB|GiB)$/.test(text);
}

function textOf(cell: Cell): string {
  return cell === null ? '-' : String(cell);
}
