/** Results as a table, for the terminal and for README.md. Times are in ms. */
import type { Distribution } from '../upgrade/stalls.js';
import type { CellResult } from './measure.js';

export interface Results {
  readonly machine: Readonly<Record<string, string>>;
  readonly cells: readonly CellResult[];
  readonly remarks: readonly string[];
}

function ms(us: number): string {
  const value = us / 1000;
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function three({ p50, p99, max }: Distribution): string {
  return [p50, p99, max].map(ms).join(' / ');
}

const COLUMNS: readonly [string, (cell: CellResult) => string][] = [
  ['sessions', ({ sessions }) => String(sessions)],
  ['kills, all / quiet', ({ kills, quietKills }) => `${kills} / ${quietKills}`],
  ['claimed', ({ claimed }) => three(claimed)],
  ['turn sealed', ({ served }) => three(served)],
  ['first reply', ({ firstReply }) => three(firstReply)],
  ['all that waited', ({ lastReply }) => three(lastReply)],
  ['waited', ({ waiting }) => `${waiting.p50} / ${waiting.max}`],
  ['lane whole', ({ whole }) => three(whole)],
];

export function resultsMarkdown({ machine, cells, remarks }: Results): string {
  const table = [
    COLUMNS.map(([title]) => title),
    COLUMNS.map(() => '---:'),
    ...cells.map((cell) => COLUMNS.map(([, text]) => text(cell))),
  ].map((row) => `| ${row.join(' | ')} |`);
  return [
    ...Object.entries(machine).map(([name, value]) => `- ${name}: ${value}`),
    ...remarks.map((remark) => `- note: ${remark}`),
    '',
    'Times after the kill in ms: p50 / p99 / max. Kills count if the host took no time from this machine',
    'meanwhile (quiet).',
    '',
    ...table,
    '',
  ].join('\n');
}
