/**
 * Goal: a server that keeps failing leaves the ring as in twemproxy, for all lanes at once, and
 *   comes back after server_retry_timeout.
 * Method: Baton and a nutcracker share servers; one server dies; keys written through either must
 *   be found through the other. Then servers come back, hang, and come back again.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import type { Directives } from '../support/conf.js';
import { startNutcracker } from '../support/nutcracker.js';
import { reload } from '../support/hot-restart.js';
import { Redis } from '../support/redis.js';
import { plain, type Reply } from '../support/resp.js';
import type { Scope } from '../support/scope.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000);
const KEYS = Array.from({ length: 1000 }, (_, i) => `${i * 7919}:key`);
const EJECT = { auto_eject_hosts: true, server_failure_limit: 2, timeout: 400, reconnect_min: 20 };

const set = (client: Client, mark: string): Promise<Reply[]> =>
  client.pipeline(KEYS.map((key) => ['SET', key, mark + key]));

const isFine = (replies: Reply[]): boolean => replies.every((reply) => plain(reply) === 'OK');

/** Asks for all keys until no server is missed any more. */
async function settle(client: Client): Promise<void> {
  await waitFor('the dead server to be ejected', async () => {
    for (const key of KEYS.slice(0, 100)) {
      if (plain(await client.command('SET', key, 'x')) !== 'OK') return false;
    }
    return isFine(await set(client, ''));
  });
}

/** A nutcracker closes a client whose server fails, so this one opens a new one each time. */
async function settleNutcracker(scope: Scope, port: number): Promise<Client> {
  return waitFor('nutcracker to eject', async () => {
    const client = await Client.open(scope, port);
    for (const key of KEYS.slice(0, 200)) {
      if (plain(await client.command('SET', key, 'x')) !== 'OK') return null;
    }
    return client;
  });
}

for (const distribution of ['ketama', 'modula', 'random']) {
  t.test(`the ring without a dead server is twemproxy's: ${distribution}`, async (t) => {
    const servers = await Redis.startMany(t, 4);
    const pool: Directives = {
      distribution, ...EJECT, server_retry_timeout: 60_000,
      servers: servers.map((server, i) => `127.0.0.1:${server.port}:${[1, 5, 2, 3][i]} s${i}`),
    };
    const { reconnect_min: _, ...theirPool } = pool;
    const ports = await startNutcracker(t, { alpha: { ...theirPool, hash: 'md5' } });
    const baton = await Baton.start(t, { pools: { alpha: { ...pool, hash: 'md5' } } });
    const ours = await baton.client();
    t.ok(isFine(await set(ours, 'before ')), 'all are there');
    await servers[1]!.kill();
    await settle(ours);
    const theirs = await settleNutcracker(t, ports.alpha!);
    t.ok(isFine(await set(ours, 'after ')));
    const alive = servers.filter((server) => server !== servers[1]);
    const sizes = await Promise.all(alive.map((server) => server.call('DBSIZE')));
    t.ok(sizes.every((size) => Number(size) > 50), `${sizes.join()} keys: all live ones are used`);
    if (distribution === 'random') return;
    const found = await theirs.pipeline(KEYS.map((key) => ['GET', key]));
    t.same(found.filter((reply, i) => plain(reply) !== `after ${KEYS[i]}`), [], 'same places');
    t.match(await baton.logged(/eject/i), /s1/);
    const stats = (await baton.stats()).alpha as Record<string, unknown>;
    t.equal(stats.server_ejects, 1);
    t.ok(Number((stats.s1 as Record<string, unknown>).server_ejected_at) > 1e15, 'microseconds');
  });
}

t.test('all lanes follow one decision', async (t) => {
  const servers = await Redis.startMany(t, 3);
  const baton = await Baton.start(t, {
    servers, global: { worker_processes: 3 },
    pool: { hash: 'md5', ...EJECT, server_retry_timeout: 60_000 },
  });
  const clients = await Promise.all(Array.from({ length: 12 }, () => baton.client()));
  for (const client of clients) t.ok(isFine(await set(client, 'all ')));
  await servers[2]!.kill();
  await settle(clients[0]!);
  t.equal(await baton.metric('baton_server_live'), 2);
  for (const client of clients.slice(1)) {
    await waitFor('this client\'s lane to follow', async () => isFine(await set(client, 'few ')));
  }
  const values = await clients[5]!.pipeline(KEYS.map((key) => ['GET', key]));
  t.same(values.filter((reply, i) => plain(reply) !== `few ${KEYS[i]}`), [], 'one ring for all');
  t.equal(await baton.metric('baton_pool_server_ejections_total'), 1);
});

t.test('a reload keeps who is out, and goes on counting', async (t) => {
  const servers = await Redis.startMany(t, 3);
  const baton = await Baton.start(t, {
    servers, global: { worker_processes: 2 },
    pool: { hash: 'md5', ...EJECT, server_retry_timeout: 60_000 },
  });
  const client = await baton.client();
  await servers[0]!.kill();
  await settle(client);
  const requests = await baton.metric('baton_pool_requests_total');
  await reload(baton);
  t.ok(isFine(await set(client, 'after ')), 'no request goes to the dead server');
  t.equal(await baton.metric('baton_server_live'), 2);
  t.equal(await baton.metric('baton_pool_server_ejections_total'), 1);
  t.equal(await baton.metric('baton_pool_requests_total'), requests + KEYS.length);
});

t.test('a server that is back is taken in again after server_retry_timeout', async (t) => {
  const servers = await Redis.startMany(t, 3);
  const baton = await Baton.start(t, {
    servers, global: { worker_processes: 2 },
    pool: { hash: 'md5', ...EJECT, server_retry_timeout: 300, reconnect_max: 100 },
  });
  const client = await baton.client();
  for (let round = 0; round < 3; round += 1) {
    await servers[0]!.kill();
    await waitFor('it to be ejected', async () => {
      await set(client, 'x');
      return await baton.metric('baton_server_live') === 2;
    });
    await servers[0]!.up();
    await waitFor('it to be used again', async () =>
      isFine(await set(client, `round ${round} `))
      && Number(await servers[0]!.call('DBSIZE')) > 100);
    t.equal(await baton.metric('baton_server_live'), 3, `round ${round}`);
  }
});

t.test('a hung server is ejected by its timeouts', async (t) => {
  const servers = await Redis.startMany(t, 2);
  const baton = await Baton.start(t, {
    servers, pool: { hash: 'md5', ...EJECT, timeout: 100, server_retry_timeout: 60_000 },
  });
  const client = await baton.client();
  t.ok(isFine(await set(client, 'x')));
  servers[1]!.freeze();
  t.teardown(() => servers[1]!.thaw());
  await settle(client);
  t.equal(await baton.metric('baton_server_live'), 1);
});

t.test('good replies between failures reset the count', async (t) => {
  const redis = await Redis.start(t);
  const other = await Redis.start(t);
  const baton = await Baton.start(t, {
    servers: [redis, other],
    pool: { hash: 'md5', ...EJECT, server_failure_limit: 3, reconnect_max: 50 },
  });
  const client = await baton.client();
  for (let round = 0; round < 8; round += 1) {
    await waitFor('a good reply from both', async () => isFine(await set(client, 'x')));
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  }
  t.equal(await baton.metric('baton_pool_server_ejections_total'), 0);
});

t.test('without auto_eject_hosts the ring stays', async (t) => {
  const servers = await Redis.startMany(t, 2);
  const baton = await Baton.start(t, {
    servers, pool: { hash: 'md5', server_failure_limit: 1, reconnect_min: 10, reconnect_max: 50 },
  });
  const client = await baton.client();
  t.ok(isFine(await set(client, 'x')));
  await servers[0]!.kill();
  for (let round = 0; round < 10; round += 1) {
    const failed = (await set(client, 'x')).filter((reply) => plain(reply) !== 'OK').length;
    t.ok(failed > 200 && failed < 800, `${failed} keys have no server`);
  }
  await servers[0]!.up();
  await waitFor('all served again', async () => isFine(await set(client, 'x')));
});

t.test('all servers ejected: errors, and service when they are back', async (t) => {
  const servers = await Redis.startMany(t, 2);
  const baton = await Baton.start(t, {
    servers, pool: { hash: 'md5', ...EJECT, server_retry_timeout: 200, reconnect_max: 50 },
  });
  const client = await baton.client();
  t.ok(isFine(await set(client, 'x')));
  await Promise.all(servers.map((server) => server.kill()));
  for (let round = 0; round < 20; round += 1) {
    const replies = await set(client, 'x');
    t.ok(replies.every((reply) => reply.type === '-'), 'an error for each');
  }
  await Promise.all(servers.map((server) => server.up()));
  await waitFor('service again', async () => isFine(await set(client, 'x')));
});
