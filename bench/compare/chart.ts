/**
 * The results as one SVG picture.
 *
 *   title                          legend
 *   cell title        CPU µs per request          requests per second
 *   party name        ▆▆▆▆▆ 5.84                  ▆▆▆▆▆▆▆▆ 130.5k
 *
 * Every cell has a scale of its own on either side: figures of P=1 and P=64 differ a hundredfold,
 * and the comparison that matters is between parties within a cell.
 */
import { OURS, PARTIES } from './parties.js';
import type { CellSummary, Results } from './summary.js';
import { microseconds, thousands, titleOf } from './tables.js';

const WIDTH = 960;
const MARGIN = 24;
const NAMES = 130;            // width of the column of party names
const BAR = 13;
const PITCH = 17;             // from bar to bar
const CELL_HEAD = 26;
const CELL_GAP = 16;
const TOP = 74;
const VALUE = 60;             // room for the figure behind the longest bar
const PANEL = (WIDTH - 2 * MARGIN - NAMES) / 2;

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function label(x: number, y: number, text: string, extra = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${extra}>${escape(text)}</text>`;
}

function bar(
  x: number, y: number, share: number, colour: string, figure: string, bold: string,
): string {
  const width = Math.max(1, share * (PANEL - VALUE - 12));
  const place = `x="${x.toFixed(1)}" y="${y.toFixed(1)}"`;
  const size = `width="${width.toFixed(1)}" height="${BAR}"`;
  const rect = `<rect ${place} ${size} rx="2" fill="${colour}"/>`;
  return rect + label(x + width + 6, y + BAR - 2.5, figure, bold);
}

function heightOf(summary: CellSummary): number {
  return CELL_HEAD + summary.rows.length * PITCH + CELL_GAP;
}

function cellGroup(summary: CellSummary, top: number): string {
  const parts = [
    `<line x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="${top}" y2="${top}" stroke="#dde3ea"/>`,
    label(MARGIN, top + 18, summary.cell.title.replaceAll('  ', ' · '), ' class="cell"'),
  ];
  const cpuMost = Math.max(...summary.rows.map((row) => row.median.cpuUs));
  const rpsMost = Math.max(...summary.rows.map((row) => row.median.rps));
  summary.rows.forEach((row, at) => {
    const y = top + CELL_HEAD + at * PITCH;
    const colour = PARTIES.find((it) => it.name === row.party)?.colour ?? '#666666';
    const bold = row.party === OURS ? ' class="ours"' : '';
    const { cpuUs, rps } = row.median;
    const left = MARGIN + NAMES;
    parts.push(label(MARGIN, y + BAR - 2.5, titleOf(row.party), bold),
      bar(left, y, cpuUs / cpuMost, colour, microseconds(cpuUs), bold),
      bar(left + PANEL, y, rps / rpsMost, colour, thousands(rps), bold));
  });
  return parts.join('\n');
}

/** The whole picture; `note` is one line under the title. */
export function chart(results: Results, note: string): string {
  const height = TOP + results.cells.reduce((sum, it) => sum + heightOf(it), 0) + MARGIN;
  const left = MARGIN + NAMES;
  let top = TOP;
  const groups = results.cells.map((summary) => {
    const group = cellGroup(summary, top);
    top += heightOf(summary);
    return group;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" \
viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" \
font-size="12" fill="#243b53">
<style>.title{font-size:18px;font-weight:600}.note{fill:#627d98}.cell,.ours{font-weight:600}\
.head{fill:#627d98;font-weight:600}</style>
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
${label(MARGIN, 30, 'Redis proxies, one worker each', ' class="title"')}
${label(MARGIN, 48, note, ' class="note"')}
${label(left, 66, 'CPU µs per request (shorter is better)', ' class="head"')}
${label(left + PANEL, 66, 'requests per second (longer is better)', ' class="head"')}
${groups.join('\n')}
</svg>
`;
}
