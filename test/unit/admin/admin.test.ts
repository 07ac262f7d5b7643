/**
 * startAdmin: opens what the settings name, tells what it cannot have, leaves nothing open; passes
 * its sockets on to another master, of whom only one answers.
 */
import t, { type Test } from 'tap';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { startAdmin, type Admin, type AdminOptions } from '../../../src/admin/server.js';
import { OperatorError } from '../../../src/base/errors.js';
import type { Settings, TcpAddress } from '../../../src/config/settings.js';
import { AdminSockets } from '../../../src/master/admin-sockets.js';
import { PoolCounter } from '../../../src/tables/columns.gen.js';
import { facts, sampleInstance } from './sample.js';

interface Line { level: 'info' | 'error'; facts: Record<string, unknown>; message: string }

class Notes {
  readonly lines: Line[] = [];
  info(facts: object, message: string): void {
    this.lines.push({ level: 'info', facts: { ...facts }, message });
  }
  error(facts: object, message: string): void {
    this.lines.push({ level: 'error', facts: { ...facts }, message });
  }
}

function at(port: number, host = '127.0.0.1'): TcpAddress {
  return { kind: 'tcp', host, port, text: `${host}:${port}` };
}

/** Only what the admin looks at. */
function settings(stats: TcpAddress | null, metrics: TcpAddress | null): Settings {
  const global = { stats, metrics, lines: { stats: 7 } };
  return { file: 'a.yml', global, pools: [] } as unknown as Settings;
}

function start(t: Test, wanted: Settings, options: Partial<AdminOptions> = {}): Admin {
  const admin = startAdmin({
    settings: wanted, counters: sampleInstance().source, facts, log: new Notes(),
    sockets: new AdminSockets(), ...options,
  });
  t.teardown(() => admin.close());
  return admin;
}

async function read(port: number, request = ''): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(request);
  await once(socket, 'end');
  return Buffer.concat(chunks).toString();
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function busyPort(t: Test): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** One that nobody listens on, as the kernel last gave it. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const SCRAPE = 'GET /metrics HTTP/1.0\r\n\r\n';

t.test('both ports serve what the instance counted by then', async (t) => {
  const instance = sampleInstance();
  const log = new Notes();
  const admin = start(t, settings(at(0), at(0)), { counters: instance.source, log });
  const { stats, metrics } = admin.ports;
  t.equal(JSON.parse(await read(stats!)).alpha.client_connections, 9);
  t.match(await read(metrics!, SCRAPE), /\nbaton_pool_clients\{pool="alpha"\} 9\n/);

  instance.lanes.get(0)!.countPool(0, PoolCounter.ClientConnections, -3);
  t.equal(JSON.parse(await read(stats!)).alpha.client_connections, 6);
  t.match(await read(metrics!, SCRAPE), /\nbaton_pool_clients\{pool="alpha"\} 6\n/);
  t.match(log.lines, [
    { level: 'info', facts: { event: 'admin_listening', port: 'stats' } },
    { level: 'info', facts: { event: 'admin_listening', port: 'metrics' } },
  ]);
});

t.test('nothing wanted, nothing open', async (t) => {
  const admin = start(t, settings(null, null));
  t.same({ ...admin.ports }, { stats: null, metrics: null });
  t.same(admin.describe(), []);
});

t.test('busy addresses are all told, with their line', async (t) => {
  const busy = await busyPort(t);
  const error = t.throws(() => start(t, settings(at(busy), at(busy))), OperatorError);
  t.same((error as OperatorError).lines, [
    `a.yml:7: stats: cannot listen on 127.0.0.1:${busy}: address already in use`,
    `a.yml: metrics: cannot listen on 127.0.0.1:${busy}: address already in use`,
  ]);
});

t.test('when one of two addresses is busy, the other is let go', async (t) => {
  const [busy, free] = [await busyPort(t), await freePort()];
  const log = new Notes();
  t.throws(() => start(t, settings(at(busy), at(free)), { log }), { code: 'port-busy' });
  t.match(log.lines, [{ facts: { event: 'admin_listening', port: 'metrics' } }], 'was open');
  t.notOk(await isOpen(free));
});

t.test('a paused port lets clients wait', async (t) => {
  const admin = start(t, settings(at(0), null));
  const port = admin.ports.stats!;
  admin.pause();
  admin.pause();
  t.equal(admin.ports.stats, null);
  const answer = read(port);
  t.ok(await isOpen(port), 'the kernel accepts');
  admin.resume();
  admin.resume();
  t.match(await answer, /^\{"service"/);
  t.equal(admin.ports.stats, port);
});

t.test('a pause cuts off who is connected', async (t) => {
  const admin = start(t, settings(null, at(0)));
  const socket = connect(admin.ports.metrics!, '127.0.0.1');
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'data');
  const closed = once(socket.on('error', () => {}).resume(), 'close');
  admin.pause();
  await closed;
});

t.test('another master goes on with the sockets', async (t) => {
  const sockets = new AdminSockets();
  const port = await freePort();
  const wanted = settings(at(port), at(await freePort()));
  const old = start(t, wanted);
  const inherited = old.describe().map((each) => ({ ...each, fd: sockets.copy(each.fd) }));
  const log = new Notes();
  const next = start(t, settings(at(port), null), { sockets, inherited, log, isPaused: true });
  t.same(log.lines, [], 'nothing was opened');
  t.same({ ...next.ports }, { stats: null, metrics: null });
  t.throws(() => sockets.copy(inherited[1]!.fd), { code: 'EBADF' }, 'what is not wanted is closed');
  t.match(await read(port), /^\{"service"/, 'the old one answers');

  old.pause();
  const waiting = read(port);
  next.resume();
  t.match(await waiting, /^\{"service"/);
  next.pause();
  old.resume();
  t.match(await read(port), /^\{"service"/, 'and back again');
  old.close();
  next.resume();
  t.match(await read(port), /^\{"service"/, 'the end of one is not the end of the port');
  next.close();
  t.notOk(await isOpen(port));
});

t.test('an address that is not inherited is opened', async (t) => {
  const [before, now] = [await freePort(), await freePort()];
  const sockets = new AdminSockets();
  const old = start(t, settings(at(before), null));
  const inherited = old.describe().map((each) => ({ ...each, fd: sockets.copy(each.fd) }));
  const next = start(t, settings(at(now), null), { sockets, inherited });
  t.match(await read(now), /^\{"service"/);
  t.same(next.describe().map(({ at: { port } }) => port), [now]);
  old.close();
  t.notOk(await isOpen(before));
});

t.test('close cuts off who is still connected', async (t) => {
  const admin = start(t, settings(at(0), at(0)));
  const ports = [admin.ports.stats!, admin.ports.metrics!];
  const sockets = ports.map((port) => connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const closed = sockets.map((socket) => {
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    return once(socket.resume(), 'close');
  });
  admin.close();
  await Promise.all(closed);
  t.same({ ...admin.ports }, { stats: null, metrics: null });
  for (const port of ports) t.notOk(await isOpen(port));
  admin.close();
});

t.test('a bug in a reading is logged and the ports live on', async (t) => {
  const instance = sampleInstance();
  const log = new Notes();
  const admin = start(t, settings(at(0), at(0)), { counters: instance.source, log });
  const whole = instance.source.read;
  instance.source.read = () => { throw new Error('broken'); };
  t.equal(await read(admin.ports.stats!), '');
  t.match(await read(admin.ports.metrics!, SCRAPE), /^HTTP\/1\.1 500 /);
  t.equal(log.lines.filter(({ level }) => level === 'error').length, 2);
  instance.source.read = whole;
  t.match(await read(admin.ports.stats!), /^\{"service"/);
});
