/**
 * Goal: tables are large enough for the configuration and for one twice as large after a reload;
 *   what does not fit is refused by name.
 * Method: settings from text, as an operator would write them.
 */
import t from 'tap';
import { OperatorError } from '../../../src/base/errors.js';
import { parseSettings } from '../../../src/config/load.js';
import type { Roster } from '../../../src/config/roster.js';
import type { Settings } from '../../../src/config/settings.js';
import {
  checkSizes, FD_BASE, halvesOf, misfits, roomOf, sizesFor,
} from '../../../src/master/capacities.js';
import { nextRoster } from '../../../src/master/roster-keeper.js';
import { commands } from '../../../src/protocol/command-table.js';
import { LANES_MAX } from '../../../src/shm/plan.js';

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

const room = { pools: Infinity, backends: Infinity, listeners: Infinity };

/** Everything that was there before is still used. */
function rosterOf(settings: Settings, before: Roster | null = null): Roster {
  const wasThere = (parts: readonly { readonly id: number }[] = []) =>
    (id: number): boolean => parts.some((part) => part.id === id);
  const inUse = {
    hasClients: wasThere(before?.pools), isWatched: wasThere(before?.listeners),
    hasLinks: wasThere(before?.pools.flatMap(({ backends }) => backends)),
  };
  return nextRoster({ settings, before, inUse, room, keepsCounts: true });
}

function sizesOf(shape: Shape, openFilesMax = 20_000) {
  return sizesFor(rosterOf(settingsOf(shape)), 1000, openFilesMax);
}

t.test('two halves, each with room to grow', async (t) => {
  const capacities = sizesOf({ pools: 2, servers: 5 });
  const half = halvesOf(capacities);
  for (const size of Object.values(half)) t.ok(Number.isInteger(size));
  t.same(roomOf(capacities),
    { pools: half.pools - 1, backends: half.backends - 1, listeners: capacities.pools },
    'the last id is nobody\'s');
  t.equal(capacities.lanes, LANES_MAX);
  const larger = settingsOf({ pools: 4, servers: 5 });
  t.same(misfits(rosterOf(larger), 2000, capacities), [], 'twice as much fits');
});

t.test('everything may be replaced while what was there is still used', async (t) => {
  const before = settingsOf({ pools: 3, servers: 4 });
  const after = structuredClone(before);
  for (const [index, pool] of after.pools.entries()) {
    pool.name = `new${index}`;
    pool.listen = { kind: 'unix', path: `/tmp/${index}`, text: `/tmp/${index}` };
  }
  const roster = rosterOf(after, rosterOf(before));
  t.equal(roster.pools.length, 6);
  t.same(misfits(roster, 2000, sizesOf({ pools: 3, servers: 4 })), []);
});

t.test('sessions: what the limit of open files leaves', async (t) => {
  const capacities = sizesOf({});
  const { sessions, links, pools } = capacities;
  t.equal(FD_BASE + sessions + links + pools + 65, 20_000, 'rows, listeners, doorbells');
  t.equal(sizesOf({}, 1_000_000).sessions, 65_537, 'at most 65,536 and row 0');
});

t.test('a later version needs the same limit, and may know more commands', async (t) => {
  const capacities = sizesOf({});
  const settings = settingsOf({});
  t.ok(capacities.commands > commands.length);
  t.doesNotThrow(() => checkSizes(settings, capacities, 20_000));
  const short = t.throws(() => checkSizes(settings, capacities, 19_999)) as OperatorError;
  t.match(short.lines, [/^test\.yml:\d+:1: max_openfiles: .*19999 files.*at least 20000/]);
  const older = { ...capacities, commands: commands.length - 1 };
  const many = t.throws(() => checkSizes(settings, older, 20_000)) as OperatorError;
  t.match(many.lines, [/commands do not fit, .*: a full restart is needed$/]);
});

t.test('links: RESP2 and RESP3 to every server, twice for a reload', async (t) => {
  const capacities = sizesOf({ pools: 2, servers: 5, links: 3 });
  t.ok(capacities.links >= 1 + 2 * 2 * (2 * 5 * 3));
});

t.test('too few files are refused with what is needed', async (t) => {
  const error = t.throws(() => sizesOf({ global: 'max_openfiles: 1000' }, 1000), OperatorError);
  t.match((error as OperatorError).lines,
    [/^test\.yml:3:1: max_openfiles: .*1000 files.*at least \d+/]);
});

t.test('too many workers are refused', async (t) => {
  const settings = settingsOf({});
  settings.global.workerProcesses = LANES_MAX + 1;
  const error = t.throws(() => sizesFor(rosterOf(settings), 1000, 20_000), OperatorError);
  t.match((error as OperatorError).lines,
    [/^test\.yml:2:1: worker_processes: 65 workers, allowed: up to 64/]);
  t.equal((error as OperatorError).exitCode, 2);
});

t.test('what outgrows a half is named', async (t) => {
  const huge = settingsOf({ pools: 60, servers: 50, links: 100 });
  huge.global.workerProcesses = LANES_MAX + 1;
  const lines = misfits(rosterOf(huge), 10_000_000, sizesOf({}));
  t.match(lines, [/: 65 workers do not fit/, / 60 pools do not fit/, / 3000 servers do not fit/,
    / 60 addresses to listen on /, / words of routing tables /, / bytes of settings /,
    / links per worker /]);
  t.equal(lines.length, 7);
});
