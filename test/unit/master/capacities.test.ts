/**
 * Goal: tables are large enough for the configuration, for one twice as large after a reload, and
 *   for both at once; what does not fit is refused by name.
 * Method: settings from text, as an operator would write them.
 */
import t from 'tap';
import { OperatorError } from '../../../src/base/errors.js';
import { parseSettings } from '../../../src/config/load.js';
import type { Settings } from '../../../src/config/settings.js';
import {
  FD_BASE, misfits, needsOf, sizesFor, WORKERS_MAX,
} from '../../../src/master/capacities.js';
import { commands } from '../../../src/protocol/command-table.js';

interface Shape {
  pools?: number;
  servers?: number;
  links?: number;
  global?: string;
}

function settingsOf({ pools = 1, servers = 3, links = 1, global = '' }: Shape): Settings {
  const lines = ['global:', '  worker_processes: 2', `  ${global}`, 'pools:'];
  for (let pool = 0; pool < pools; pool++) {
    lines.push(`  p${pool}:`, `    listen: 127.0.0.1:${7000 + pool}`, '    redis: true',
      `    server_connections: ${links}`, '    servers:');
    for (let server = 0; server < servers; server++) {
      lines.push(`      - 127.0.0.1:${8000 + server}:1 s${server}`);
    }
  }
  return parseSettings(lines.join('\n'), 'test.yml').settings;
}

function sizesOf(shape: Shape, openFilesMax = 20_000) {
  return sizesFor(settingsOf(shape), 1000, openFilesMax);
}

t.test('two halves, each with room to grow', async (t) => {
  const { capacities, half } = sizesOf({ pools: 2, servers: 5 });
  t.equal(capacities.pools, 2 * half.pools);
  t.equal(capacities.lanes, 2 * half.lanes);
  t.equal(capacities.backends, 2 * half.backends);
  t.equal(capacities.routeWords, 2 * half.routeWords);
  t.equal(capacities.confBytes, 2 * half.confBytes);
  t.ok(half.lanes >= 2);
  const larger = settingsOf({ pools: 4, servers: 5 });
  t.same(misfits(needsOf(larger, 2000), half, larger, capacities.links), [], 'twice as much fits');
});

t.test('sessions: what the limit of open files leaves', async (t) => {
  const { capacities } = sizesOf({});
  t.equal(FD_BASE + capacities.sessions + capacities.links, 20_000, 'each row has a descriptor');
  t.equal(sizesOf({}, 1_000_000).capacities.sessions, 65_537, 'at most 65,536 and row 0');
  t.equal(capacities.commands, commands.length);
});

t.test('links: RESP2 and RESP3 to every server, twice for a reload', async (t) => {
  const { capacities } = sizesOf({ pools: 2, servers: 5, links: 3 });
  t.ok(capacities.links >= 1 + 2 * 2 * (2 * 5 * 3));
});

t.test('too few files are refused with what is needed', async (t) => {
  const error = t.throws(() => sizesOf({ global: 'max_openfiles: 1000' }, 1000), OperatorError);
  t.match((error as OperatorError).lines,
    [/^test\.yml:3:1: max_openfiles: .*1000 files.*at least \d+/]);
});

t.test('too many workers are refused', async (t) => {
  const settings = settingsOf({});
  settings.global.workerProcesses = WORKERS_MAX + 1;
  const error = t.throws(() => sizesFor(settings, 1000, 20_000), OperatorError) as OperatorError;
  t.match(error.lines, [/^test\.yml:2:1: worker_processes: 33 workers, allowed: up to 32/]);
  t.equal(error.exitCode, 2);
});

t.test('what outgrows a half is named', async (t) => {
  const { half, capacities } = sizesOf({});
  const huge = settingsOf({ pools: 40, servers: 50, links: 100 });
  const lines = misfits(needsOf(huge, 10_000_000), half, huge, capacities.links);
  t.match(lines, [/ 40 pools do not fit/, / 2000 servers do not fit/, / words of routing tables /,
    / bytes of settings /, / links per worker /]);
  t.equal(lines.length, 5);
});
