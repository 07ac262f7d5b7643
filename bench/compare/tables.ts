/** The results as text: aligned columns for a terminal, or the same columns as markdown. */
import { OURS, PARTIES } from './parties.js';
import type { CellSummary, Results, Row } from './summary.js';

type Table = readonly (readonly string[])[]; // the first row is the heading

const DASH = '–';

export function titleOf(party: string): string {
  return PARTIES.find((it) => it.name === party)?.title ?? party;
}

/** 1234567 -> 1.23M, 149512 -> 149.5k, 812 -> 812. */
export function thousands(value: number): string {
  if (value >= 999_950) return `${(value / 1e6).toFixed(2)}M`;
  return value >= 1000 ? `${(value / 1000).toFixed(1)}k` : value.toFixed(0);
}

/** Three significant digits for small values, two decimals above one. */
export function microseconds(value: number): string {
  return value >= 1 ? value.toFixed(2) : value.toFixed(3);
}

function kib(value: number): string {
  return value >= 10_240 ? `${(value / 1024).toFixed(1)} MiB` : `${value.toFixed(0)} KiB`;
}

function cellRow(row: Row): string[] {
  const { median: it, ratio } = row;
  return [
    titleOf(row.party), thousands(it.rps), microseconds(it.cpuUs), microseconds(it.redisUs),
    it.cores.toFixed(2), `${it.p50Ms.toFixed(2)} / ${it.p99Ms.toFixed(2)}`,
    `${(row.spread * 100).toFixed(0)} %`,
    ratio === null ? DASH : `${ratio.rps.toFixed(2)}×`,
    ratio === null ? DASH : `${ratio.cpu.toFixed(2)}×`,
    row.counted === row.tried ? String(row.counted) : `${row.counted} of ${row.tried}`,
  ];
}

const CELL_HEADING = [
  'party', 'requests/s', 'CPU µs', 'Redis µs', 'cores', 'p50 / p99 ms', 'spread',
  `${titleOf(OURS)} rps`, `${titleOf(OURS)} CPU`, 'runs',
];

function cellTable(summary: CellSummary): Table {
  return [CELL_HEADING, ...summary.rows.map(cellRow)];
}

function idleTable(results: Results): Table {
  const heading = [
    'party', 'connections', 'fresh', 'open', 'KiB each', 'closed', 'after load', '5 s later',
    'idle CPU ms/s',
  ];
  return [heading, ...[...results.idle].map(([party, it]) => [
    titleOf(party), String(it.connections), kib(it.freshKb), kib(it.openKb),
    it.kbPerConnection.toFixed(2), kib(it.closedKb), kib(it.afterLoadKb), kib(it.settledKb),
    it.idleMsPerSecond.toFixed(1),
  ])];
}

function aligned(table: Table): string {
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table.map((row) => row.map((text, column) =>
    (column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!))).join('  '))
    .join('\n');
}

function markdownTable(table: Table): string {
  const [heading, ...rows] = table;
  const rule = heading!.map((_, column) => (column === 0 ? '---' : '---:'));
  return [heading!, rule, ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** One cell for the terminal, printed as soon as it is known. */
export function cellText(summary: CellSummary): string {
  return `${summary.cell.title}  (${summary.cell.name})\n${aligned(cellTable(summary))}\n`;
}

export function idleText(results: Results): string {
  return results.idle.size === 0 ? '' : `Idle connections, memory of the whole process tree\n${
    aligned(idleTable(results))}\n`;
}

/** Everything for the terminal. */
export function resultsText(results: Results): string {
  const parts = [...results.cells.map(cellText), idleText(results)];
  return `${parts.filter((text) => text !== '').join('\n')}${
    results.remarks.map((line) => `\nnote: ${line}`).join('')}\n`;
}

/** Our ratios to each peer, one line per cell. */
function ratioTable(results: Results): Table {
  const hasRun = ({ name }: { name: string }): boolean =>
    results.cells.some(({ rows }) => rows.some(({ party }) => party === name));
  const peers = PARTIES.filter((it) => it.name !== OURS && (it.isExtra !== true || hasRun(it)));
  const heading = ['cell', ...peers.flatMap((it) => [`${it.title}: rps`, 'CPU'])];
  return [heading, ...results.cells.map((summary) => [
    summary.cell.title.replaceAll('  ', ', '),
    ...peers.flatMap((peer) => {
      const ratio = summary.rows.find((row) => row.party === peer.name)?.ratio;
      return ratio ? [`${ratio.rps.toFixed(2)}×`, `${ratio.cpu.toFixed(2)}×`] : [DASH, DASH];
    }),
  ])];
}

/** Everything for bench/README.md. */
export function resultsMarkdown(results: Results): string {
  const machine = Object.entries(results.machine).map(([name, text]) => `- ${name}: ${text}`);
  const parts = [machine.join('\n')];
  if (results.cells.some((summary) => summary.rows.some((row) => row.ratio !== null))) {
    parts.push(`### ${titleOf(OURS)} compared (ours / theirs, median of pairs)`,
      markdownTable(ratioTable(results)));
  }
  for (const summary of results.cells) {
    parts.push(`### ${summary.cell.title.replaceAll('  ', ', ')}`,
      markdownTable(cellTable(summary)));
  }
  if (results.idle.size > 0) {
    parts.push('### Idle connections: memory of the whole process tree',
      markdownTable(idleTable(results)));
  }
  if (results.remarks.length > 0) {
    parts.push(results.remarks.map((line) => `- Note: ${line}`).join('\n'));
  }
  return `${parts.join('\n\n')}\n`;
}
