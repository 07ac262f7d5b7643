/** Results as tables, for the terminal and for README.md. Times are in ms. */
import type { CellResult, Kind, KindResult } from './measure.js';
import type { Distribution } from './stalls.js';

export interface Results {
  readonly machine: Readonly<Record<string, string>>;
  readonly cells: readonly CellResult[];
  readonly remarks: readonly string[];
}

const TITLES: Readonly<Record<Kind, string>> = {
  nothing: 'nothing', reload: 'HUP', upgrade: 'USR2, QUIT',
};

function ms(us: number): string {
  const value = us / 1000;
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function four({ p50, p99, p999, max }: Distribution): string {
  return [p50, p99, p999, max].map(ms).join(' / ');
}

const COLUMNS: readonly [string, (idle: number, result: KindResult) => string][] = [
  ['idle', (idle) => String(idle)],
  ['what', (_, { kind }) => TITLES[kind]],
  ['takeovers, all / quiet', (_, { takeovers, quietTakeovers }) => `${takeovers} / ${quietTakeovers}`],
  ['lane\'s pause p50 / max', (_, { kind, pause }) =>
    (kind === 'nothing' ? '–' : `${ms(pause.p50)} / ${ms(pause.max)}`)],
  ['stall of all sessions', (_, { around }) => four(around)],
  ['beyond own p99.9', (_, { beyond }) => four(beyond)],
  ['under way: sessions', (_, { underWay }) => String(underWay.count)],
  ['stall of these', (_, { underWay }) => four(underWay)],
  ['whole window: stall', (_, { whole }) => four(whole)],
  ['lasted s', (_, { windowMs }) => (windowMs.p50 / 1000).toFixed(2)],
];

export function resultsMarkdown({ machine, cells, remarks }: Results): string {
  const rows = cells.flatMap(({ idle, kinds }) =>
    kinds.filter(({ windows }) => windows > 0).map((result) => COLUMNS.map(([, cell]) => cell(idle, result))));
  const table = [
    COLUMNS.map(([title]) => title),
    COLUMNS.map((_, at) => (at === 1 ? '---' : '---:')),
    ...rows,
  ].map((cellsOfRow) => `| ${cellsOfRow.join(' | ')} |`);
  return [
    ...Object.entries(machine).map(([name, value]) => `- ${name}: ${value}`),
    ...remarks.map((remark) => `- note: ${remark}`),
    '',
    'Stalls in ms: p50 / p99 / p99.9 / max over sessions and windows. Takeovers count if the host took',
    'no time from this machine meanwhile (quiet); the last two columns are about all windows.',
    '',
    ...table,
    '',
  ].join('\n');
}
