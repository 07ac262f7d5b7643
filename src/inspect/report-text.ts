/** A report as text for people, in sections. */
import { aligned, bytesText, listed, type Cell } from './columns.js';
import type { FillReport } from './fill-report.js';
import type { Report } from './report.js';

/** `withColumns`: the directory with every column of every table. */
export function reportText(report: Report, withColumns: boolean): string {
  const sections: [string, string[]][] = [
    ['object', objectLines(report)],
    ['masters', masterLines(report)],
    ['directory', directoryLines(report, withColumns)],
    ['lanes', laneLines(report)],
    ['workers', workerLines(report)],
    ['tables', fillLines(report)],
    ['pool', poolLines(report)],
    ['rings', ringLines(report)],
    ['doorbells', bellLines(report)],
  ];
  return sections.map(([title, lines]) => `${title}\n${lines.join('\n')}\n`).join('\n');
}

function objectLines({ object }: Report): string[] {
  const layouts = object.layouts.map(({ hash, isUsed }) => `${hash}${isUsed ? ' (in use)' : ''}`);
  return listed([
    ['name', object.name],
    ['file', `${object.path}, uid ${object.uid}, mode ${object.mode}`],
    ['reserved', `${bytesText(object.reservedBytes)} of address space`],
    ['backed', `${bytesText(object.backedBytes)} of memory`],
    ['shm_max', bytesText(object.poolBytesMax)],
    ['format', `${object.format}, map ${object.mapHash}`],
    ['layouts', layouts.join(', ')],
    ['started', timeText(object.startedAtMs)],
    ['configuration', `generation ${object.generation}, routes ${object.routeGeneration}`],
  ]);
}

function masterLines({ masters, object }: Report): string[] {
  const rows = masters.map(({ pid, file, isAlive, isInCharge }): Cell[] =>
    [pid, isAlive ? 'alive' : 'dead', isInCharge ? 'in charge' : '', file]);
  const lines = aligned(['pid', 'is', '', 'pid file'], rows);
  const leads = masters.some(({ isAlive, isInCharge }) => isAlive && isInCharge);
  return leads ? lines
    : [...lines, `  nobody is in charge: the last one, ${object.masterPid}, is dead`];
}

function directoryLines({ directory }: Report, withColumns: boolean): string[] {
  const rows = directory.map(({ table, scope, offset, rowBytes, rows, columns }): Cell[] =>
    [table, scope === 'lane' ? 'each lane' : 'instance', offset, rowBytes, rows, columns.length]);
  const lines = aligned(['table', 'of', 'offset', 'row bytes', 'rows', 'columns'], rows);
  if (!withColumns) return lines;
  return [lines[0]!, ...directory.flatMap(({ columns }, index) => [
    lines[index + 1]!,
    ...aligned(['column', 'type', 'count', 'offset'], columns.map(({ column, type, count, offset }) =>
      [column, type, count, offset])).slice(1).map((line) => `    ${line}`),
  ])];
}

function laneLines({ lanes }: Report): string[] {
  const header = ['lane', 'state', 'owner', 'pid', 'is', 'keeper', 'conf', 'layout', 'turn',
    'journal', 'sessions', 'links', 'requests', 'takeovers', 'restarts'];
  return aligned(header, lanes.map((lane) => [
    lane.lane, lane.state, lane.owner, lane.ownerPid, ownerText(lane), lane.keeperPid,
    lane.generation, lane.layout, lane.turn, lane.journalBytes, lane.sessions, lane.links,
    lane.requests, lane.takeovers, lane.restarts,
  ]));
}

function ownerText(lane: Report['lanes'][number]): string {
  if (lane.owner === 0) return 'nobody';
  const states = [lane.ownerState];
  if (!lane.isOwnerAlive) states.push('dead');
  else if (lane.isSleeping) states.push('asleep');
  if (lane.claimant !== 0) states.push(`asked by ${lane.claimant}`);
  return states.join(', ');
}

function workerLines({ workers }: Report): string[] {
  const header = ['worker', 'pid', 'state', 'is', 'lane', 'keeper', 'master', 'conf', 'version',
    'started'];
  return aligned(header, workers.map((each) => [
    each.worker, each.pid, each.state, each.isAlive ? 'alive' : 'dead',
    each.isStandby ? 'standby' : String(each.lane), each.keeperPid, each.masterPid,
    each.generation, each.version, timeText(each.startedAtMs),
  ]));
}

function fillLines({ fills }: Report): string[] {
  return aligned(['of', 'table', 'used', 'capacity', '', 'fill', 'ever used'], fills.map((fill) => [
    fill.lane === null ? 'instance' : `lane ${fill.lane}`, fill.table, fill.used, fill.capacity,
    fill.unit, shareText(fill), fill.top === null ? '' : String(fill.top - 1),
  ]));
}

function shareText({ used, capacity }: FillReport): string {
  return used === null || capacity === 0 ? '-' : `${(100 * used / capacity).toFixed(1)} %`;
}

function poolLines({ units }: Report): string[] {
  const rows = units.flatMap((unit) => [
    [`${unit.class}s`, 'all', unit.owned, unit.batches, null, null,
      bytesText(unit.owned * 64 * unit.unitBytes), null],
    ...unit.holders.map((each): Cell[] => ['', `lane ${each.lane}`, each.batches, null, each.used,
      each.free, bytesText(each.bytes), bytesText(each.bookedBytes)]),
  ]);
  return aligned(['class', 'held by', 'batches', 'of', 'used', 'free', 'bytes', 'booked'], rows);
}

function ringLines({ rings, lanes }: Report): string[] {
  const all = lanes.length * (lanes.length + 1);
  const rest = `  ${all - rings.length} of ${all} have never carried anything`;
  if (rings.length === 0) return [rest];
  const header = ['from', 'to', 'queued', 'published', 'taken', 'released', 'depth', 'overflow', ''];
  return [...aligned(header, rings.map((ring) => [
    nameOf(ring.from), nameOf(ring.to), ring.queued, ring.published, ring.taken, ring.released,
    ring.depth, bytesText(ring.overflowBytes), ring.isWaiting ? 'waits for room' : '',
  ])), rest];
}

function bellLines({ bells }: Report): string[] {
  return aligned(['lane', 'owner', 'rung by'], bells.map(({ lane, isSleeping, rungBy }) =>
    [lane, isSleeping ? 'sleeps' : 'is awake', rungBy.length === 0 ? '-' : rungBy.join(' ')]));
}

function nameOf(end: number | 'master'): string {
  return end === 'master' ? end : `lane ${end}`;
}

/** Whatever a damaged word holds. */
function timeText(ms: number): string {
  const isTime = ms > 0 && ms < 8.64e15;
  return isTime ? new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z') : '-';
}
