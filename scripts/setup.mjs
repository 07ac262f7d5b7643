/**
 * Makes this checkout ready: npm packages, the build, programs from Debian.
 *
 *   packages  npm ci        when node_modules does not hold what package-lock.json names
 *   build     build.mjs     when stale
 *   programs  apt-get       when missing, we are root, and BATON_NO_INSTALL is not set
 *
 * Debian's packages start their daemons when installed. Here they may not: a policy-rc.d that says
 * no stands while apt-get runs (ours only if the machine has none) and goes whatever happens.
 *
 * As a program: node scripts/setup.mjs start|test|bench.
 */
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, isBuilt } from './build.mjs';
import { Refusal, asProgram, npmCli, root, run, say, which } from './run.mjs';

/** Program -> the Debian package that has it, and how to see that it is there. */
const PROGRAMS = {
  'redis-server': { debian: 'redis-server', unit: 'redis-server' },
  'redis-cli': { debian: 'redis-tools' },
  'redis-benchmark': { debian: 'redis-tools' },
  nutcracker: { debian: 'nutcracker', unit: 'nutcracker' },
  haproxy: { debian: 'haproxy', unit: 'haproxy' },
  'python3-redis': { debian: 'python3-redis', probe: ['/usr/bin/python3', '-c', 'import redis'] },
};

export const START_PROGRAMS = ['redis-server', 'redis-cli', 'redis-benchmark'];
export const TEST_PROGRAMS = [...START_PROGRAMS, 'nutcracker', 'python3-redis'];
export const BENCH_PROGRAMS = [...START_PROGRAMS, 'nutcracker', 'haproxy'];

const NO_INSTALL = (process.env.BATON_NO_INSTALL ?? '') !== ''
  && process.env.BATON_NO_INSTALL !== '0';

// --- npm packages ---

function packagesOf(file) {
  return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
}

/** Whether node_modules holds every package of the lock file; `dev` ones only if asked for. */
function hasPackages(dev) {
  if (!existsSync(join(root, 'node_modules/.package-lock.json'))) return false;
  const installed = packagesOf('node_modules/.package-lock.json');
  return Object.entries(packagesOf('package-lock.json')).every(([place, wanted]) =>
    place === '' || wanted.optional || wanted.devOptional || wanted.peer || (wanted.dev && !dev)
    || installed[place]?.version === wanted.version);
}

async function installPackages(dev) {
  if (hasPackages(dev)) return;
  if (NO_INSTALL) throw new Refusal('npm packages are missing: run npm ci');
  say('installing npm packages (npm ci) …');
  const args = [npmCli(), 'ci', '--no-fund', '--no-audit', '--loglevel=error'];
  const { status, output } = await run(process.execPath, args, { quiet: true });
  if (status === 0) return;
  process.stderr.write(output);
  throw new Refusal(`npm ci failed (exit ${status})`);
}

// --- programs ---

async function isThere(name) {
  const { probe } = PROGRAMS[name];
  if (probe === undefined) return which(name) !== undefined;
  return (await run(probe[0], probe.slice(1), { quiet: true })).status === 0;
}

async function missingOf(names) {
  const missing = [];
  for (const name of names) if (!(await isThere(name))) missing.push(name);
  return missing;
}

const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_TEXT = '#!/bin/sh\n# Placed by Baton while it installs packages; safe to remove.\nexit 101\n';

/** Runs `body` while packages may not start services. */
async function withoutServices(body) {
  const isOurs = !existsSync(POLICY) || readFileSync(POLICY, 'utf8') === POLICY_TEXT;
  if (isOurs) writeFileSync(POLICY, POLICY_TEXT, { mode: 0o755 });
  try {
    await body();
  } finally {
    if (isOurs) rmSync(POLICY, { force: true });
  }
}

function apt(...args) {
  const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', NEEDRESTART_SUSPEND: '1' };
  return run('apt-get', ['-q', '-y', ...args], { quiet: true, env });
}

function hasPackageLists() {
  const lists = '/var/lib/apt/lists';
  return existsSync(lists) && readdirSync(lists).some((name) => name.includes('_Packages'));
}

/** Installs, with one update of the package lists: before when there are none, else on failure. */
async function aptInstall(packages) {
  const install = () => apt('install', '--no-install-recommends', ...packages);
  const isFresh = !hasPackageLists();
  if (isFresh) await apt('update');
  let { status, output } = await install();
  if (status !== 0 && !isFresh) {
    await apt('update');
    ({ status, output } = await install());
  }
  if (status === 0) return;
  process.stderr.write(output);
  throw new Refusal(`apt-get install ${packages.join(' ')} failed (exit ${status})`);
}

/** The packages also asked systemd to start their daemons at the next boot; nobody wanted that. */
async function disableUnits(names) {
  if (!existsSync('/run/systemd/system')) return;
  const units = names.map((name) => PROGRAMS[name].unit).filter((unit) => unit !== undefined);
  if (units.length > 0) await run('systemctl', ['disable', '--quiet', ...units], { quiet: true });
}

async function installPrograms(names) {
  const missing = await missingOf(names);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((name) => PROGRAMS[name].debian))];
  const advice = `${missing.join(', ')} missing: apt-get install --no-install-recommends `
    + packages.join(' ');
  if (NO_INSTALL) throw new Refusal(`${advice} (BATON_NO_INSTALL is set)`);
  if (process.getuid() !== 0) throw new Refusal(`${advice} (as root)`);
  if (which('apt-get') === undefined) throw new Refusal(`${advice} (there is no apt-get here)`);
  say(`installing ${packages.join(', ')} (apt-get) …`);
  await withoutServices(() => aptInstall(packages));
  await disableUnits(missing);
  const still = await missingOf(missing);
  if (still.length > 0) throw new Refusal(`${still.join(', ')} still missing after apt-get`);
}

/**
 * Makes ready for a run that needs `programs` (keys of PROGRAMS). `dev` asks for the development
 * packages even if nothing has to be compiled, `variants` for other builds of the addon. Throws Refusal when something cannot be had.
 */
export async function setup({ programs, dev = false, variants = [] }) {
  const isDev = dev || !isBuilt();
  if (NO_INSTALL) await refuseAllMissing(programs, isDev);
  await installPackages(isDev);
  await build({ variants });
  await installPrograms(programs);
}

/** With BATON_NO_INSTALL everything that is missing is said at once. */
async function refuseAllMissing(programs, dev) {
  const complaints = [];
  for (const step of [() => installPackages(dev), () => installPrograms(programs)]) {
    await step().catch((error) => complaints.push(error.message));
  }
  if (complaints.length > 0) throw new Refusal(complaints.join('\nbaton: '));
}

const PROGRAMS_FOR = { start: START_PROGRAMS, test: TEST_PROGRAMS, bench: BENCH_PROGRAMS };

await asProgram(import.meta.url, async ([purpose = 'start', ...rest]) => {
  const programs = PROGRAMS_FOR[purpose];
  if (programs === undefined || rest.length > 0) {
    throw new Refusal(`usage: node scripts/setup.mjs ${Object.keys(PROGRAMS_FOR).join('|')}`);
  }
  await setup({ programs, dev: purpose !== 'start' });
});
