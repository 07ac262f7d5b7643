/**
 * Goal: however a client cuts its bytes, and however servers dawdle, every reply comes, in the
 *   order of the requests, to the client that asked.
 * Method: one script of commands is split at every byte, dribbled byte by byte, and sent by the
 *   thousand; fake servers answer after random delays; many clients check themselves at once.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { Redis } from '../support/redis.js';
import { encode, plain, show, type Argument, type Reply } from '../support/resp.js';
import { dice, type Dice } from '../support/seed.js';

/** Commands that find the same state however often they are played. */
function script(name: string): Argument[][] {
  const [s, n, h, l, z] = ['s', 'n', 'h', 'l', 'z'].map((kind) => `${name}:${kind}`) as string[];
  return [
    ['DEL', s!], ['DEL', n!], ['DEL', h!], ['DEL', l!], ['DEL', z!], ['GET', s!],
    ['SET', s!, 'plain'], ['GET', s!], ['SET', s!, 'crlf\r\n$3\r\nabc\r\n'], ['GET', s!],
    ['SET', s!, ''], ['GET', s!], ['STRLEN', s!], ['APPEND', s!, '+'], ['GETRANGE', s!, 0, -1],
    ['INCR', n!], ['INCR', n!], ['DECR', n!], ['INCRBY', n!, 1234567], ['GET', n!],
    ['HSET', h!, 'a', 1, 'b', 2, 'c', 3], ['HGET', h!, 'b'], ['HMGET', h!, 'a', 'x', 'c'],
    ['HDEL', h!, 'a'], ['HLEN', h!], ['HINCRBY', h!, 'b', 40], ['HEXISTS', h!, 'b'],
    ['RPUSH', l!, 'one', 'two', 'three'], ['LRANGE', l!, 0, -1], ['LPOP', l!], ['LLEN', l!],
    ['LINDEX', l!, 0], ['LINDEX', l!, 9], ['LRANGE', l!, 5, 9],
    ['ZADD', z!, 1, 'a', 2, 'b', 3, 'c'], ['ZRANGE', z!, 0, -1, 'WITHSCORES'], ['ZSCORE', z!, 'b'],
    ['ZRANK', z!, 'zz'], ['ZCARD', z!], ['TYPE', s!], ['TYPE', `${name}:none`], ['LPUSH', s!, 'x'],
    ['INCR', s!], ['PING'], ['ECHO', 'local'], ['PING', 'with text'], ['SETRANGE', s!, 3, 'xyz'],
    ['GET', s!], ['EXPIRE', s!, 1000], ['PERSIST', s!], ['TTL', s!], ['TTL', `${name}:none`],
    ['MSET', s!, 'by mset', n!, 7], ['MGET', s!, n!, `${name}:none`, s!],
    ['EXISTS', s!, n!, h!, s!],
    ['NOSUCHCOMMAND', 'x'], ['GET'], ['DEL', h!, l!, z!, h!], ['GET', s!],
  ];
}

const redis = await Redis.startMany(t, 2);
const baton = await Baton.start(t, {
  servers: redis, pool: { distribution: 'modula', hash: 'md5' }, global: { worker_processes: 2 },
});

/** Replies as text, so that a wrong one can be read in the failure's diff. */
function texts(replies: readonly Reply[]): string[] {
  return replies.map((reply) => show(reply.raw));
}

/** The script's replies once it has been played, so that its keys exist. */
async function settled(client: Client, commands: Argument[][]): Promise<string[]> {
  await client.pipeline(commands);
  return texts(await client.pipeline(commands));
}

t.test('a script split in two at every byte', async (t) => {
  const client = await baton.client();
  const commands = script('split');
  const whole = await settled(client, commands);
  const ends: number[] = [];
  for (const command of commands) ends.push((ends.at(-1) ?? 0) + encode(command).length);
  const bytes = Buffer.concat(commands.map(encode));
  for (let cut = 1; cut < bytes.length; cut += 1) {
    const before = ends.filter((end) => end <= cut).length;
    await client.send(bytes.subarray(0, cut));
    const first = await client.replies(before); // so the first half has been read, tail and all
    await client.send(bytes.subarray(cut));
    const rest = await client.replies(commands.length - before);
    const got = texts([...first, ...rest]);
    if (got.join() === whole.join()) continue;
    t.same(got, whole, `cut at byte ${cut}`);
    return;
  }
  t.pass(`${bytes.length - 1} cuts, ${commands.length} replies each`);
});

t.test('a script one byte at a time', async (t) => {
  const client = await baton.client();
  const commands = script('dribble');
  const whole = await settled(client, commands);
  const bytes = Buffer.concat(commands.map(encode));
  for (let at = 0; at < bytes.length; at += 1) {
    await client.send(bytes.subarray(at, at + 1));
    await new Promise(setImmediate);
  }
  t.same(texts(await client.replies(commands.length)), whole);
});

t.test('a script in random pieces, several times over', async (t) => {
  const game = dice(t);
  const client = await baton.client();
  const commands = script('pieces');
  const whole = await settled(client, commands);
  const once = Buffer.concat(commands.map(encode));
  const bytes = Buffer.concat(Array.from({ length: 100 }, () => once));
  const sending = (async (): Promise<void> => {
    for (let at = 0; at < bytes.length;) {
      const size = game.isHead() ? game.between(1, 40) : game.between(1, 5000);
      await client.send(bytes.subarray(at, at + size));
      at += size;
    }
  })();
  const replies = texts(await client.replies(commands.length * 100));
  await sending;
  for (let round = 0; round < 100; round += 1) {
    const got = replies.slice(round * whole.length, (round + 1) * whole.length);
    if (got.join() === whole.join()) continue;
    t.same(got, whole, `round ${round}`);
    return;
  }
  t.pass('100 rounds');
});

t.test('thirty thousand requests in one write', async (t) => {
  const client = await baton.client();
  await client.call('DEL', 'count:a', 'count:b');
  const commands: Argument[][] = [];
  const wanted: unknown[] = [];
  for (let i = 1; i <= 10_000; i += 1) {
    commands.push(['INCR', 'count:a'], ['ECHO', i], ['INCRBY', 'count:b', 2]);
    wanted.push(i, String(i), i * 2);
  }
  const replies = (await client.pipeline(commands)).map(plain);
  t.equal(replies.findIndex((reply, i) => reply !== wanted[i]), -1, 'every reply in its place');
  t.same(client.waiting, [], 'and none too many');
});

/** Answers a link's requests in order, but each some random time later. */
function dawdler(game: Dice): (request: Received) => void {
  const queues = new Map<number, Received[]>();
  const answer = (number: number): void => {
    const queue = queues.get(number)!;
    for (let n = game.between(1, 20); n > 0 && queue.length > 0; n -= 1) {
      const request = queue.shift()!;
      const key = request.args[0]!.toString();
      request.reply(`$${key.length + 3}\r\nof ${key}\r\n`);
    }
    if (queue.length > 0) setTimeout(answer, game.below(4), number);
  };
  return (request) => {
    const queue = queues.get(request.link.number) ?? [];
    queues.set(request.link.number, queue);
    queue.push(request);
    if (queue.length === 1) setTimeout(answer, game.below(8), request.link.number);
  };
}

t.test('servers that answer in any order', async (t) => {
  const game = dice(t);
  const fakes = await Promise.all([0, 1, 2, 3].map(() => FakeBackend.start(t, dawdler(game))));
  const slow = await Baton.start(t, {
    servers: fakes, pool: { distribution: 'modula', hash: 'md5' },
  });
  const clients = await Promise.all([0, 1, 2, 3, 4].map(() => slow.client()));
  await Promise.all(clients.map(async (client, number) => {
    const keys = Array.from({ length: 600 }, (_, i) => `key ${number} ${i}`);
    const replies = await client.pipeline(keys.map((key) => ['GET', key]), 20_000);
    t.same(replies.map(plain), keys.map((key) => `of ${key}`), `client ${number}`);
  }));
  for (const fake of fakes) t.ok(fake.requests.length > 100, 'each server had its share');
});

/** Random commands on keys of its own, each checked against a map. */
async function selfCheck(client: Client, name: string, game: Dice): Promise<string | null> {
  const model = new Map<string, string>();
  for (let round = 0; round < 30; round += 1) {
    const commands: Argument[][] = [];
    const wanted: unknown[] = [];
    for (let i = game.between(1, 80); i > 0; i -= 1) {
      const key = `${name}:${game.below(12)}`;
      const roll = game.below(4);
      if (roll === 0) {
        const value = 'v'.repeat(game.below(300));
        model.set(key, value);
        commands.push(['SET', key, value]);
        wanted.push('OK');
      } else if (roll === 1) {
        commands.push(['DEL', key]);
        wanted.push(model.delete(key) ? 1 : 0);
      } else if (roll === 2) {
        commands.push(['ECHO', `${name} ${round} ${i}`]);
        wanted.push(`${name} ${round} ${i}`);
      } else {
        commands.push(['GET', key]);
        wanted.push(model.get(key) ?? null);
      }
    }
    const got = (await client.pipeline(commands, 20_000)).map(plain);
    const wrong = got.findIndex((value, i) => value !== wanted[i]);
    if (wrong >= 0) {
      return `round ${round}, ${commands[wrong]!.join(' ')}: ${got[wrong]} for ${wanted[wrong]}`;
    }
  }
  return null;
}

t.test('a hundred clients at once, each sure of its own data', async (t) => {
  const game = dice(t);
  const clients = await Promise.all(Array.from({ length: 100 }, () => baton.client()));
  const complaints = await Promise.all(clients.map((client, i) =>
    selfCheck(client, `self${i}`, game)));
  t.same(complaints.filter((complaint) => complaint !== null), []);
});

t.test('a client that goes away mid-pipeline leaves the others their replies', async (t) => {
  const stays = await baton.client();
  for (let round = 0; round < 50; round += 1) {
    const leaves = await baton.client();
    leaves.push(Buffer.concat(Array.from({ length: 300 }, (_, i) => encode(['GET', `gone${i}`]))));
    const asked = stays.pipeline([['SET', 'stay', round], ['GET', 'stay'], ['ECHO', round]]);
    if (round % 2 === 0) leaves.reset();
    else leaves.destroy();
    t.same((await asked).map(plain), ['OK', String(round), String(round)]);
  }
});

t.test('requests before a half close are all answered, then the connection ends', async (t) => {
  const client = await baton.client();
  client.push(Buffer.concat(Array.from({ length: 500 }, (_, i) => encode(['ECHO', i]))));
  client.push(encode(['SET', 'last', 'words']));
  client.end();
  const replies = (await client.replies(501)).map(plain);
  t.same(replies.slice(0, 500), Array.from({ length: 500 }, (_, i) => String(i)));
  t.equal(replies[500], 'OK');
  await client.closed();
  t.same(client.waiting, []);
});
