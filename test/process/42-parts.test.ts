/**
 * Goal: when one part of a split command fails, stalls or loses its server, the client gets one
 *   reply that says so, at its place, and everything else goes on.
 * Method: three scripted servers; the parts of a command are answered by errors, by wrong types,
 *   late, or not at all.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import type { Directives } from '../support/conf.js';
import { FakeBackend, ownedKeys, type Received } from '../support/fake-backend.js';
import { errorText, plain, show, type Argument } from '../support/resp.js';
import type { Scope } from '../support/scope.js';
import { waitFor } from '../support/wait-for.js';

interface Stage {
  readonly baton: Baton;
  readonly fakes: FakeBackend[];
  readonly keys: string[]; // one per fake, by its index
}

/** Right answers to everything these tests ask. */
function good(request: Received): void {
  const { name, args } = request;
  if (name === 'MGET') {
    const values = args.map((key) => `$${key.length + 3}\r\nof ${key}\r\n`).join('');
    return request.reply(`*${args.length}\r\n${values}`);
  }
  if (name === 'MSET' || name === 'SET') return request.reply('+OK\r\n');
  if (name === 'GET') return request.reply(`$${args[0]!.length + 3}\r\nof ${args[0]!}\r\n`);
  request.reply(`:${args.length}\r\n`);
}

async function stage(scope: Scope, pool: Directives = {}): Promise<Stage> {
  const fakes = await Promise.all([0, 1, 2].map(() => FakeBackend.start(scope, good)));
  const baton = await Baton.start(scope, {
    servers: fakes, pool: { distribution: 'modula', hash: 'md5', ...pool },
  });
  const client = await baton.client();
  const keys = await ownedKeys(client, fakes);
  client.destroy();
  return { baton, fakes, keys };
}

const { baton, fakes, keys } = await stage(t);

/** Sends a command between two others and returns its reply after checking theirs. */
async function between(command: Argument[]): Promise<string> {
  const client = await baton.client();
  const [before, reply, after, last] = await client.pipeline([
    ['GET', keys[0]!], command, ['MGET', keys[0]!, keys[0]!], ['ECHO', 'after'],
  ]);
  t.equal(plain(before!), `of ${keys[0]}`);
  t.same(plain(after!), [`of ${keys[0]}`, `of ${keys[0]}`]);
  t.equal(plain(last!), 'after');
  client.destroy();
  return show(reply!.raw);
}

const COMMANDS: Argument[][] = [
  ['MGET', ...keys, keys[1]!], ['MSET', ...keys.flatMap((key) => [key, 'v'])], ['DEL', ...keys],
  ['UNLINK', ...keys], ['EXISTS', ...keys], ['TOUCH', ...keys],
];

t.test('one part answers with an error', async (t) => {
  fakes[1]!.handler = (request) => request.reply('-OOM command not allowed\r\n');
  for (const command of COMMANDS) {
    t.match(await between(command), /^"-OOM command not allowed\\r\\n"$/, String(command[0]));
  }
  fakes[1]!.handler = good;
});

t.test('all parts answer with errors: one error comes out', async (t) => {
  const client = await baton.client();
  for (const fake of fakes) fake.handler = (request) => request.reply('-ERR boom\r\n');
  for (const command of COMMANDS) {
    const [reply, echo] = await client.pipeline([command, ['ECHO', 'x']]);
    t.equal(errorText(reply!), 'ERR boom', String(command[0]));
    t.equal(plain(echo!), 'x');
  }
  for (const fake of fakes) fake.handler = good;
});

t.test('a part of the wrong type or length is an error, not a wrong answer', async (t) => {
  const wrong: [string, string][] = [
    ['MGET', '+OK\r\n'], ['MGET', '*1\r\n$1\r\nx\r\n'], ['MGET', '*3\r\n$1\r\nx\r\n$-1\r\n$-1\r\n'],
   
    ['DEL', '+OK\r\n'], ['DEL', '$1\r\n1\r\n'], ['EXISTS', '*0\r\n'],
  ];
  for (const [name, bytes] of wrong) {
    fakes[1]!.handler = (request) => request.reply(bytes);
    const command = COMMANDS.find((candidate) => candidate[0] === name)!;
    t.match(await between(command), /^"-ERR /, `${name} answered by ${JSON.stringify(bytes)}`);
  }
  fakes[1]!.handler = good;
});

t.test('parts that come in any order merge in the order of the keys', async (t) => {
  const client = await baton.client();
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) {
    const held: Received[] = [];
    for (const [index, fake] of fakes.entries()) {
      fake.handler = (request) => { held[index] = request; };
    }
    const reply = client.command('MGET', keys[2]!, keys[0]!, keys[1]!, keys[2]!);
    await waitFor('all parts', () => held.filter((part) => part !== undefined).length === 3);
    for (const index of order) {
      good(held[index]!);
      await new Promise(setImmediate);
    }
    t.same(plain(await reply), [2, 0, 1, 2].map((index) => `of ${keys[index]}`), order.join());
  }
  for (const fake of fakes) fake.handler = good;
});

t.test('a slow part holds up its own client only', async (t) => {
  const [client, other] = [await baton.client(), await baton.client()];
  const held: Received[] = [];
  fakes[2]!.handler = (request) => held.push(request);
  const replies = client.pipeline([['MGET', ...keys], ['GET', keys[0]!]]);
  await waitFor('the part at the slow server', () => held.length === 1);
  t.same(await other.call('MGET', keys[0]!, keys[1]!), [`of ${keys[0]}`, `of ${keys[1]}`]);
  t.same(client.waiting, [], 'nothing overtakes');
  good(held[0]!);
  t.same((await replies).map(plain), [keys.map((key) => `of ${key}`), `of ${keys[0]}`]);
  fakes[2]!.handler = good;
});

t.test('a part whose server closes: one error, whatever had come of it', async (t) => {
  const client = await baton.client();
  for (const half of ['', '*1', '*1\r\n$100\r\nabc', ':']) {
    for (const command of COMMANDS) {
      fakes[1]!.handler = (request) => {
        request.reply(half);
        request.link.socket.end();
        fakes[1]!.handler = good;
      };
      const [reply, after] = await client.pipeline([command, ['GET', keys[0]!]]);
      t.match(errorText(reply!), /^[A-Z]+ /, `${command[0]} after ${JSON.stringify(half)}`);
      t.equal(plain(after!), `of ${keys[0]}`);
      await waitFor('the server to be back', async () =>
        plain(await client.command('GET', keys[1]!)) === `of ${keys[1]}`);
    }
  }
});

t.test('a part that times out: one error, and its late reply harms nobody', async (t) => {
  const late = await stage(t, { timeout: 200 });
  const client = await late.baton.client();
  const held: Received[] = [];
  late.fakes[0]!.handler = (request) => held.push(request);
  const [reply, after] = await client.pipeline([['MGET', ...late.keys], ['GET', late.keys[1]!]]);
  t.match(errorText(reply!), /timed? ?out/i);
  t.equal(plain(after!), `of ${late.keys[1]}`);
  const next = client.command('MGET', ...late.keys);
  late.fakes[0]!.handler = good;
  await waitFor('both parts', () => late.fakes[0]!.requests.length >= 2 || held.length === 1);
  good(held[0]!);
  for (const request of held.slice(1)) good(request);
  t.same(plain(await next), late.keys.map((key) => `of ${key}`));
});

t.test('a client that leaves while its parts are out', async (t) => {
  const other = await baton.client();
  for (let round = 0; round < 20; round += 1) {
    const held: Received[] = [];
    for (const fake of fakes) fake.handler = (request) => held.push(request);
    const client = await baton.client();
    client.push(Buffer.from(`*4\r\n$4\r\nMGET\r\n${keys.map((key) =>
      `$${key.length}\r\n${key}\r\n`).join('')}`));
    await waitFor('all parts', () => held.length === 3);
    client.reset();
    for (const fake of fakes) fake.handler = good;
    for (const request of held) good(request);
    t.same(await other.call('MGET', ...keys), keys.map((key) => `of ${key}`));
  }
});
