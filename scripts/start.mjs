/**
 * npm start [-- -c CONF]: three Redis servers and Baton before them, in the foreground.
 *
 *   set up -> look for busy ports -> redis-server × n -> bin/baton -> wait for a signal
 *                                                                      |
 *   temporary folder removed <- redis-server stopped <- Baton stopped <-+- or one of them died
 *
 * Every server of CONF with a loopback address is started here, without persistence. INT, TERM,
 * HUP, a closed terminal and the end of npm all mean: stop everything, leave nothing. What is
 * started as Baton is its mute parent, which passes USR2 and HUP on to whichever master is there.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { Child } from './children.mjs';
import { Refusal, asProgram, killRunning, root, say } from './run.mjs';
import { START_PROGRAMS, setup } from './setup.mjs';
import { StatusLine } from './status-line.mjs';

const READY_WITHIN_MS = 20_000;
const PROBE_TIMEOUT_MS = 1000;
const PROBE_PAUSE_MS = 25;
const ORPHAN_CHECK_MS = 500;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;
/** What is shown of the log: what went wrong, and what the person at the keyboard has asked for. */
const SHOWN_LEVELS = new Set(['warn', 'error', 'fatal']);
const SHOWN_EVENTS = /^(upgrad|roll|reload|commit|adopt)/;

/** Raised inside the start-up when a signal came meanwhile: unwinds without a word. */
class Stopped extends Error {}

/** Resolves (once) when somebody wants us to stop; a second signal stops at once. */
class StopSwitch {
  isOn = false;
  constructor(onSecond) {
    this.thrown = new Promise((resolve) => { this.throw = resolve; });
    this.thrown.then(() => { this.isOn = true; });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => {
        if (this.isOn) onSecond();
        killRunning();
        this.throw(signal);
      });
    }
    // A closed terminal: writing to it fails (EIO, EPIPE).
    for (const stream of [process.stdout, process.stderr]) {
      stream.on('error', () => this.throw('the output is gone'));
    }
    this.#watchParent();
  }

  /** npm does not pass every signal on: when it dies of one, we become an orphan. */
  #watchParent() {
    if (process.env.npm_lifecycle_event === undefined) return;
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent) this.throw('npm is gone');
    }, ORPHAN_CHECK_MS).unref();
  }
}

function text({ host, port }) {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves to null, or to the reason why nobody can listen there now. */
function bindError({ host, port }) {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', (error) => resolve(error.code));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

async function refuseBusyPorts(addresses, conf) {
  for (const { address, use } of addresses) {
    const code = await bindError(address);
    if (code === 'EADDRINUSE') {
      throw new Refusal(`port ${address.port} (${use}) is in use: `
        + `stop what listens on ${text(address)}, or change ${conf}`);
    }
    if (code !== null) throw new Refusal(`cannot listen on ${text(address)} (${use}): ${code}`);
  }
}

/** True when a PING there is answered, by whatever reply. */
function isAnswering(address) {
  return new Promise((resolve) => {
    const socket = connect(address.kind === 'unix' ? { path: address.path } : address);
    const done = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => done(false));
    socket.on('error', () => done(false));
    socket.on('close', () => done(false));
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', () => done(true));
  });
}

async function untilAnswering(child, address, stop) {
  let ending;
  child.exited.then((how) => { ending = how; });
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await isAnswering(address))) {
    if (stop.isOn) throw new Stopped();
    if (ending !== undefined) throw deathOf(child, ending);
    if (Date.now() > deadline) {
      throw new Refusal(`${child.title} does not answer on ${address.text}`);
    }
    await pause(PROBE_PAUSE_MS);
  }
}

function deathOf(child, how) {
  const lines = child.lastLines.map((line) => `\n  ${line}`).join('');
  return new Refusal(`${child.title} ended by itself (${how})${lines}`);
}

/** Loads CONF with Baton's own reader, so that its mistakes are reported as Baton reports them. */
async function loadSettings(conf) {
  const { loadSettings: load } = await import('../dist/src/config/load.js');
  try {
    return load(conf).settings;
  } catch (error) {
    if (Array.isArray(error.mistakes)) throw new Refusal(error.mistakes.join('\n'));
    throw error;
  }
}

/** A private folder; those of runs that were killed (the name holds their pid) go now. */
function makeFolder() {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(/^baton-start-(\d+)-/.exec(name)?.[1]);
    if (pid > 0 && !existsSync(`/proc/${pid}`)) {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  }
  return mkdtempSync(join(tmpdir(), `baton-start-${process.pid}-`));
}

/** The servers of the file that live on this machine, each once. */
function localServers(settings) {
  const byText = new Map();
  for (const pool of settings.pools) {
    for (const { address } of pool.servers) {
      if (address.kind !== 'tcp' || !LOOPBACK.test(address.host)) continue;
      byText.set(text(address), { address, auth: pool.redisAuth });
    }
  }
  return [...byText.values()];
}

function portsInUse(settings, servers) {
  const ports = settings.pools
    .filter((pool) => pool.listen.kind === 'tcp')
    .map((pool) => ({ address: pool.listen, use: `pool ${pool.name}` }));
  const { stats, metrics } = settings.global;
  if (stats !== null) ports.push({ address: stats, use: 'statistics' });
  if (metrics !== null) ports.push({ address: metrics, use: 'metrics' });
  for (const { address } of servers) ports.push({ address, use: 'a redis-server' });
  return ports;
}

function startRedis({ address, auth }, folder) {
  const password = auth === null ? [] : ['--requirepass', auth];
  return new Child(`redis-server on ${text(address)}`, 'redis-server', [
    '--port', String(address.port), '--bind', address.host, '--dir', folder,
    '--save', '', '--appendonly', 'no', '--daemonize', 'no', '--loglevel', 'warning', ...password,
  ]);
}

/** Baton's log lines, in short; what is not JSON is shown as it is. */
function showLogLine(line, print) {
  let entry;
  try {
    entry = JSON.parse(line);
  } catch {
    print(line);
    return;
  }
  const isShown = SHOWN_LEVELS.has(entry.level) || SHOWN_EVENTS.test(entry.event);
  if (isShown) print(`baton: ${entry.msg}`);
}

function greet(settings, servers, baton) {
  say(`redis-server on ${servers.map(({ address }) => text(address)).join(', ')}`);
  for (const pool of settings.pools) say(`Baton on ${pool.listen.text} (pool ${pool.name})`);
  const { stats, metrics } = settings.global;
  if (stats !== null) say(`statistics on ${stats.text}`);
  if (metrics !== null) say(`metrics on http://${metrics.text}/metrics`);
  const first = settings.pools.find((pool) => pool.listen.kind === 'tcp');
  if (first !== undefined) {
    say(`try: redis-cli -p ${first.listen.port}`);
    say(`     redis-benchmark -p ${first.listen.port} -P 16 -q`);
  }
  say(`upgrade to a new build without losing a session: kill -USR2 ${baton.pid}`);
  say('Ctrl-C stops everything');
}

/** Starts everything, in order, into `children`; resolves when all of it answers. */
async function startAll(settings, conf, folder, children, stop, print) {
  const servers = localServers(settings);
  await refuseBusyPorts(portsInUse(settings, servers), relative(root, conf));
  for (const server of servers) {
    const child = startRedis(server, folder);
    children.push(child);
    await untilAnswering(child, server.address, stop);
  }
  // By its pid file another master finds what one that was killed has left.
  const args = [join(root, 'bin/baton'), '-c', conf, '-p', join(folder, 'baton.pid')];
  const baton = new Child('Baton', process.execPath, args, (line) => showLogLine(line, print));
  children.push(baton);
  for (const pool of settings.pools) await untilAnswering(baton, pool.listen, stop);
  return { servers, baton };
}

async function stopAll(children, folder) {
  // The last one started first: Baton goes before its servers, so that it never sees them die.
  for (const child of children.reverse()) await child.stop();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}

async function start(conf, stop, children) {
  let folder;
  let status = new StatusLine(null);
  try {
    await setup({ programs: START_PROGRAMS });
    if (stop.isOn) return 0;
    const settings = await loadSettings(conf);
    folder = makeFolder();
    const print = (line) => status.print(line);
    const { servers, baton } = await startAll(settings, conf, folder, children, stop, print);
    greet(settings, servers, baton);
    status = new StatusLine(settings.global.stats);
    status.start();
    const deaths = children.map((child) => child.exited.then((how) => ({ child, how })));
    const death = await Promise.race([...deaths, stop.thrown.then(() => undefined)]);
    if (death !== undefined && !stop.isOn) throw deathOf(death.child, death.how);
    return 0;
  } catch (error) {
    if (error instanceof Stopped || (stop.isOn && error instanceof Refusal)) return 0;
    throw error;
  } finally {
    status.stop();
    if (children.length > 0) say('stopping');
    await stopAll(children, folder);
  }
}

await asProgram(import.meta.url, async (args) => {
  const isConf = args.length === 2 && args[0] === '-c';
  if (args.length > 0 && !isConf) throw new Refusal('usage: npm start [-- -c CONF]');
  const children = [];
  const stop = new StopSwitch(() => {
    for (const child of children) child.kill();
  });
  return start(isConf ? resolve(args[1]) : join(root, 'conf/baton.yml'), stop, children);
});
