/** Where results go: JSON, SVG, markdown, and the "Last result" section of bench/README.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from './chart.js';
import type { Options } from './options.js';
import { HOME } from './parties.js';
import type { CellRuns, Results } from './summary.js';
import { resultsMarkdown } from './tables.js';

const BEGIN = '<!-- result:begin -->';
const END = '<!-- result:end -->';

function asJson(results: Results, runs: readonly CellRuns[]): string {
  const cells = results.cells.map((summary) => ({
    name: summary.cell.name,
    title: summary.cell.title,
    parties: Object.fromEntries(summary.rows.map((row) => [row.party, {
      median: row.median, spread: row.spread, ratio: row.ratio,
      runs: runs.find((it) => it.cell === summary.cell)?.runs.get(row.party),
    }])),
  }));
  const { machine, remarks } = results;
  return `${JSON.stringify({ machine, remarks, cells, idle: Object.fromEntries(results.idle) },
    null, 2)}\n`;
}

function rewritten(readme: string, markdown: string): string {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error(`bench/README.md: ${BEGIN} … ${END} is missing`);
  const picture = '![CPU per request and requests per second, by cell and party](result.svg)';
  const before = readme.slice(0, from + BEGIN.length);
  return `${before}\n\n${picture}\n\n${markdown}\n${readme.slice(to)}`;
}

/** Writes what the options ask for. */
export function publish(options: Options, results: Results, runs: readonly CellRuns[]): void {
  const { machine } = results;
  const note = `${machine['date']} · ${machine['processor']} · ${machine['method']}`;
  const json = asJson(results, runs);
  const svg = chart(results, note);
  const markdown = resultsMarkdown(results);
  if (options.json !== null) writeFileSync(options.json, json);
  if (options.svg !== null) writeFileSync(options.svg, svg);
  if (options.markdown !== null) writeFileSync(options.markdown, markdown);
  if (!options.publish) return;
  const readme = join(HOME, 'bench/README.md');
  writeFileSync(readme, rewritten(readFileSync(readme, 'utf8'), markdown));
  writeFileSync(join(HOME, 'bench/result.json'), json);
  writeFileSync(join(HOME, 'bench/result.svg'), svg);
}
