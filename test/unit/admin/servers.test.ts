/** The two ports as their clients see them, on ports that the kernel chooses. */
import t, { type Test } from 'tap';
import { once } from 'node:events';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { createMetricsServer } from '../../../src/admin/metrics-server.js';
import { createStatsServer } from '../../../src/admin/stats-server.js';

async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

function open(t: Test, port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  return socket;
}

async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks).toString();
}

/** Sends `request` and reads until the server closes. */
async function exchange(t: Test, port: number, request: string): Promise<string> {
  const socket = open(t, port);
  socket.write(request);
  const answer = await readAll(socket);
  socket.end();
  return answer;
}

function connections(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

/** Resolves when the server's end of the next connection is closed. */
function nextClosed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.once('connection', (socket: Socket) => socket.once('close', () => resolve()));
  });
}

t.test('statistics: connect, one line, end', async (t) => {
  let asked = 0;
  const server = createStatsServer(() => `line ${++asked}\n`);
  const port = await listen(t, server);
  for (const expected of ['line 1\n', 'line 2\n']) {
    const closed = nextClosed(server);
    const socket = open(t, port);
    t.equal(await readAll(socket), expected);
    socket.end();
    await closed;
  }
  t.equal(await connections(server), 0);
});

t.test('statistics: what the client sends is thrown away', async (t) => {
  const server = createStatsServer(() => 'answer\n');
  const port = await listen(t, server);
  t.equal(await exchange(t, port, `GET / HTTP/1.1\r\n${'x'.repeat(100_000)}`), 'answer\n');
});

t.test('statistics: a client that never closes is cut off', async (t) => {
  const server = createStatsServer(() => 'answer\n', { patienceMs: 50, connections: 4 });
  const port = await listen(t, server);
  const closed = nextClosed(server);
  t.equal(await readAll(open(t, port)), 'answer\n');
  await closed;
  t.equal(await connections(server), 0);
});

t.test('statistics: a client that does not read is cut off', async (t) => {
  const big = 'x'.repeat(32 << 20); // more than the kernel keeps for a socket
  const server = createStatsServer(() => big, { patienceMs: 50, connections: 4 });
  const port = await listen(t, server);
  const closed = nextClosed(server);
  open(t, port).pause();
  await closed;
  t.equal(await connections(server), 0);
});

t.test('statistics: too many at a time are closed at once', async (t) => {
  const server = createStatsServer(() => 'answer\n', { patienceMs: 60_000, connections: 1 });
  const port = await listen(t, server);
  const first = open(t, port);
  t.equal(await readAll(first), 'answer\n');
  const second = open(t, port);
  const closed = once(second, 'close');
  second.resume().on('end', () => second.end());
  await closed;
  t.equal(second.bytesRead, 0);
  t.equal(await connections(server), 1);
  first.destroy();
});

t.test('statistics: no answer when there is none to give', async (t) => {
  const server = createStatsServer(() => null);
  const port = await listen(t, server);
  t.equal(await exchange(t, port, ''), '');
});

t.test('metrics: paths and methods', async (t) => {
  const server = createMetricsServer(() => 'baton_up 1\n');
  const port = await listen(t, server);
  const ask = (line: string): Promise<string> =>
    exchange(t, port, `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);

  const metrics = await ask('GET /metrics');
  t.match(metrics, /^HTTP\/1\.1 200 OK\r\n/);
  t.match(metrics, /\r\nContent-Type: text\/plain; version=0\.0\.4; charset=utf-8\r\n/);
  t.ok(metrics.endsWith('\r\n\r\nbaton_up 1\n'));
  t.match(await ask('GET /metrics?name[]=x'), /^HTTP\/1\.1 200 OK\r\n/);
  const head = await ask('HEAD /metrics');
  t.match(head, /\r\nContent-Length: 11\r\n/);
  t.ok(head.endsWith('\r\n\r\n'), 'no body');
  t.match(await ask('GET /'), /^HTTP\/1\.1 200 OK\r\n[^]*\/metrics\n$/);
  t.match(await ask('GET /nothing'), /^HTTP\/1\.1 404 /);
  t.match(await ask('GET /metrics/x'), /^HTTP\/1\.1 404 /);
  const post = await ask('POST /metrics');
  t.match(post, /^HTTP\/1\.1 405 /);
  t.match(post, /\r\nAllow: GET, HEAD\r\n/);
  t.match(await ask('nonsense'), /^HTTP\/1\.1 400 /);
});

t.test('metrics: a failure is answered with 500', async (t) => {
  const server = createMetricsServer(() => null);
  const port = await listen(t, server);
  const answer = await exchange(t, port, 'GET /metrics HTTP/1.0\r\n\r\n');
  t.match(answer, /^HTTP\/1\.1 500 /);
});

t.test('metrics: clients that send nothing, or half a request, are cut off', async (t) => {
  const server = createMetricsServer(() => 'text\n', { patienceMs: 60, connections: 4 });
  const port = await listen(t, server);
  for (const start of ['', 'GET /metr']) {
    const closed = nextClosed(server);
    const socket = open(t, port);
    socket.resume();
    if (start !== '') socket.write(start);
    await closed;
  }
  t.equal(await connections(server), 0);
});

t.test('metrics: a client that does not read is cut off', async (t) => {
  const big = 'x'.repeat(32 << 20);
  const server = createMetricsServer(() => big, { patienceMs: 60, connections: 4 });
  const port = await listen(t, server);
  const closed = nextClosed(server);
  const socket = open(t, port);
  socket.pause();
  socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
  await closed;
  t.equal(await connections(server), 0);
});
