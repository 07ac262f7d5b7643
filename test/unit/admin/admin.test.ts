/** startAdmin: follows the settings, tells what it cannot have, leaves nothing open. */
import t, { type Test } from 'tap';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { startAdmin, type Admin } from '../../../src/admin/server.js';
import { OperatorError } from '../../../src/base/errors.js';
import type { Settings, TcpAddress } from '../../../src/config/settings.js';
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

async function start(
  t: Test, wanted: Settings, instance = sampleInstance(), log = new Notes(),
): Promise<Admin> {
  const admin = await startAdmin({ settings: wanted, counters: instance.source, facts, log });
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
  const notes = new Notes();
  const admin = await start(t, settings(at(0), at(0)), instance, notes);
  const { stats, metrics } = admin.ports;
  t.equal(JSON.parse(await read(stats!)).alpha.client_connections, 9);
  t.match(await read(metrics!, SCRAPE), /\nbaton_pool_clients\{pool="alpha"\} 9\n/);

  instance.source.carry(0);
  t.equal(JSON.parse(await read(stats!)).alpha.client_connections, 6);
  t.match(await read(metrics!, SCRAPE), /\nbaton_pool_clients\{pool="alpha"\} 6\n/);
  t.match(notes.lines, [
    { level: 'info', facts: { event: 'admin_listening', port: 'stats' } },
    { level: 'info', facts: { event: 'admin_listening', port: 'metrics' } },
  ]);
});

t.test('nothing wanted, nothing open', async (t) => {
  const admin = await start(t, settings(null, null));
  t.same({ ...admin.ports }, { stats: null, metrics: null });
});

t.test('an update opens, moves, keeps and closes', async (t) => {
  const admin = await start(t, settings(null, at(0)));
  t.equal(admin.ports.stats, null);
  const metrics = admin.ports.metrics!;

  await admin.update(settings(at(0), at(0)));
  const stats = admin.ports.stats!;
  t.ok(await isOpen(stats));
  t.equal(admin.ports.metrics, metrics, 'unchanged settings touch nothing');

  await admin.update(settings(at(0, 'localhost'), null));
  t.not(admin.ports.stats, stats);
  t.notOk(await isOpen(stats));
  t.notOk(await isOpen(metrics));
  t.equal(admin.ports.metrics, null);
});

t.test('busy addresses are all told, with their line, and nothing stays open', async (t) => {
  const busy = await busyPort(t);
  const failure = await start(t, settings(at(busy), at(busy))).catch((error: unknown) => error);
  t.ok(failure instanceof OperatorError);
  t.same((failure as OperatorError).lines, [
    `a.yml:7: stats: cannot listen on 127.0.0.1:${busy}: address already in use`,
    `a.yml: metrics: cannot listen on 127.0.0.1:${busy}: address already in use`,
  ]);
});

t.test('when one of two addresses is busy at start, the other is let go', async (t) => {
  const [busy, free] = [await busyPort(t), await freePort()];
  const notes = new Notes();
  const admin = start(t, settings(at(busy), at(free)), sampleInstance(), notes);
  await t.rejects(admin, { code: 'port-busy' });
  t.match(notes.lines, [{ facts: { event: 'admin_listening', port: 'metrics' } }], 'was open');
  t.notOk(await isOpen(free));
});

t.test('a busy address on update leaves the port where it was', async (t) => {
  const busy = await busyPort(t);
  const admin = await start(t, settings(at(0), null));
  const { stats } = admin.ports;
  await t.rejects(admin.update(settings(at(busy), at(0))), { code: 'port-busy' });
  t.equal(admin.ports.stats, stats);
  t.ok(await isOpen(stats!));
  t.ok(await isOpen(admin.ports.metrics!), 'the other one follows');
});

t.test('close cuts off who is still connected', async (t) => {
  const admin = await start(t, settings(at(0), at(0)));
  const sockets = [admin.ports.stats!, admin.ports.metrics!].map((port) =>
    connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const closed = sockets.map((socket) => {
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    return once(socket.resume(), 'close');
  });
  await admin.close();
  await Promise.all(closed);
  t.same({ ...admin.ports }, { stats: null, metrics: null });
  await admin.close();
});

t.test('a bug in a reading is logged and the ports live on', async (t) => {
  const instance = sampleInstance();
  const notes = new Notes();
  const admin = await start(t, settings(at(0), at(0)), instance, notes);
  const whole = instance.source.read;
  instance.source.read = () => { throw new Error('broken'); };
  t.equal(await read(admin.ports.stats!), '');
  t.match(await read(admin.ports.metrics!, SCRAPE), /^HTTP\/1\.1 500 /);
  t.equal(notes.lines.filter(({ level }) => level === 'error').length, 2);
  instance.source.read = whole;
  t.match(await read(admin.ports.stats!), /^\{"service"/);
});
