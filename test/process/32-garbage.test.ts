/**
 * Goal: no bytes that a client or a server can send kill a worker, disturb anybody else, or make
 *   one client's reply another's.
 * Method: requests and replies are mutated at random (seeded); servers say too much, too little
 *   and what nobody asked for; bystanders check every reply of theirs, and the worker must stay.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { Redis } from '../support/redis.js';
import { encode, errorText, plain, show, type Argument } from '../support/resp.js';
import { dice, type Dice } from '../support/seed.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000);
const QUICK = { reconnect_min: 1, reconnect_max: 20 };

const echo = (request: Received): void => {
  const key = request.args[0]!;
  request.reply(Buffer.concat([Buffer.from(`$${key.length}\r\n`), key, Buffer.from('\r\n')]));
};

const SPICE = ['\r\n', '\n', '\r', '*', '$', '-1', '0', '99999999', ' ', '"', '\'', '\0', '\xff',
  '*1\r\n', '$5\r\n', '*-1\r\n', '%', '>', '+OK\r\n', '2147483648', '-', ':', '_\r\n',
  '*3\r\n$3\r\n'];

/** The same bytes with a few of them changed, lost, doubled or spiced. */
function mutate(bytes: Buffer, game: Dice): Buffer {
  let text = bytes.toString('latin1');
  for (let n = game.between(1, 4); n > 0; n -= 1) {
    const at = game.below(text.length + 1);
    const length = game.between(0, 6);
    switch (game.below(5)) {
      case 0: text = text.slice(0, at) + text.slice(at + length); break;
      case 1: text = text.slice(0, at) + game.pick(SPICE) + text.slice(at + length); break;
      case 2: text = text.slice(0, at) + game.pick(SPICE) + text.slice(at); break;
      case 3: text = text.slice(0, at) + text.slice(at, at + length) + text.slice(at); break;
      default: text = text.slice(0, at) + String.fromCharCode(game.below(256)) + text.slice(at + 1);
    }
  }
  return Buffer.from(text, 'latin1');
}

const COMMANDS: Argument[][] = [
  ['GET', 'k'], ['SET', 'k', 'some value'], ['MGET', 'a', 'b', 'c'], ['MSET', 'a', 1, 'b', 2],
  ['DEL', 'a', 'b'], ['PING'], ['ECHO', 'x'.repeat(300)], ['HELLO', 3], ['HELLO', 2],
  ['EVAL', 'x', 1, 'k'],   ['CLIENT', 'SETNAME', 'n'], ['COMMAND', 'INFO', 'get'], ['LPUSH', 'l', 'x'],
  ['LRANGE', 'l', 0, -1], ['XADD', 's', '*', 'f', 'v'], ['SET', 'big', 'y'.repeat(20_000)], ['RESET'], ['INFO'],
  ['COMMAND', 'GETKEYS', 'MSET', 'a', '1'], ['CONFIG', 'GET', '*'], ['CLIENT', 'LIST'],
];

t.test('mutated requests', async (t) => {
  const game = dice(t);
  const servers = await Redis.startMany(t, 2);
  const baton = await Baton.start(t, {
    servers, pool: { hash: 'md5', distribution: 'modula', timeout: 2000 },
  });
  const workers = baton.workers();
  const bystander = await baton.client();
  for (let round = 0; round < 400; round += 1) {
    const client = await baton.client();
    for (let i = game.between(1, 6); i > 0; i -= 1) {
      const bytes = game.below(6) === 0
        ? Buffer.from(`${game.pick(COMMANDS).join(' ')}\r\n`) : encode(game.pick(COMMANDS));
      client.push(game.below(3) === 0 ? bytes : mutate(bytes, game));
      if (game.isHead()) await new Promise(setImmediate);
    }
    const replies = await bystander.pipeline([['SET', 'by', round], ['GET', 'by'], ['PING']]);
    if (replies.map(plain).join() !== `OK,${round},PONG`) t.fail(`round ${round}`);
    if (game.isHead()) client.end();
    else client.reset();
  }
  t.same(baton.workers(), workers, `the worker lived on; its log: ${baton.log.slice(-500)}`);
});

const REPLIES = ['+OK\r\n', '-ERR x\r\n', ':12\r\n', '$5\r\nhello\r\n', '$-1\r\n',
  '*2\r\n:1\r\n$1\r\na\r\n',
  '*-1\r\n', `$9000\r\n${'r'.repeat(9000)}\r\n`, '*0\r\n', '*1\r\n*1\r\n*1\r\n+deep\r\n'];
const REPLIES3 = [...REPLIES, '%1\r\n+k\r\n:1\r\n', '~1\r\n_\r\n', ',1.5\r\n', '#t\r\n', '(123\r\n',
  '=7\r\ntxt:abc\r\n', '!5\r\nERR x\r\n'];

for (const protocol of [2, 3]) {
  t.test(`mutated replies, RESP${protocol}`, async (t) => {
    const game = dice(t);
    let isSick = false;
    const sick = await FakeBackend.start(t, (request) => {
      if (!isSick) return echo(request);
      const bytes = mutate(Buffer.from(game.pick(protocol === 3 ? REPLIES3 : REPLIES)), game);
      request.reply(bytes);
      if (game.below(4) === 0) request.link.socket.end();
    });
    const baton = await Baton.start(t, { servers: [sick], pool: { ...QUICK, timeout: 100 } });
    const workers = baton.workers();
    let asked = 0; // no key twice: a reply that is off by one must not look right
    for (let round = 0; round < 60; round += 1) {
      const clients = await Promise.all([0, 1, 2].map(() => baton.client()));
      for (const client of clients) await client.command('HELLO', protocol);
      isSick = true;
      for (const [i, client] of clients.entries()) {
        client.push(encode([game.pick(['GET', 'MGET', 'DEL']), `sick${round}${i}`]));
      }
      await waitFor('a reply, an error or a close for each', () => {
        const waits = clients.find((client) => client.waiting.length === 0 && !client.isClosed);
        if (waits !== undefined) throw new Error(waits.describe());
        return true;
      });
      isSick = false;
      const healthy = await baton.client();
      await healthy.command('HELLO', protocol);
      await waitFor('the server to be well', async () =>
        await healthy.call('GET', `well ${round} ${++asked}`) === `well ${round} ${asked}`);
      for (let i = 0; i < 5; i += 1) {
        const value = await healthy.call('GET', `round ${round} ${i}`);
        if (value !== `round ${round} ${i}`) t.equal(value, `round ${round} ${i}`);
      }
      for (const client of [...clients, healthy]) client.destroy();
    }
    t.same(baton.workers(), workers, 'the worker lived on');
  });
}

t.test('a server that speaks unasked: nobody gets its words as a reply', async (t) => {
  let extra = '';
  const fake = await FakeBackend.start(t, (request) => {
    echo(request);
    if (extra !== '') request.reply(extra);
    extra = '';
  });
  const baton = await Baton.start(t, { servers: [fake], pool: { ...QUICK, timeout: 500 } });
  for (const protocol of [2, 3]) {
    const client = await baton.client();
    await client.command('HELLO', protocol);
    for (const words of ['+EXTRA\r\n', '$5\r\nEXTRA\r\n', ':7\r\n+EXTRA\r\n', '+EX', '\r\n', 'x']) {
      await waitFor('the link to be up', async () => await client.call('GET', 'up') === 'up');
      extra = words;
      t.equal(await client.call('GET', 'first'), 'first');
      for (let i = 0; i < 5; i += 1) {
        const reply = await client.command('GET', `next${i}`);
        t.ok(plain(reply) === `next${i}` || /^[A-Z]+ /.test(errorText(reply)),
          `RESP${protocol}, after ${show(Buffer.from(words))}: ${show(reply.raw)}`);
      }
    }
  }
});

t.test('pushes on a RESP3 link are nobody\'s reply', async (t) => {
  const push = '>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n';
  const fake = await FakeBackend.start(t, (request) => {
    request.reply(push);
    echo(request);
    request.reply(push);
  });
  const baton = await Baton.start(t, { servers: [fake] });
  const client = await baton.client();
  await client.command('HELLO', 3);
  const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
  t.same((await client.pipeline(keys.map((key) => ['GET', key]))).map(plain), keys);
  t.same(client.waiting, []);
});

t.test('a server that greets with an error at connect', async (t) => {
  const fake = await FakeBackend.start(t, echo);
  fake.greeting = '-ERR max number of clients reached\r\n';
  const baton = await Baton.start(t, { servers: [fake], pool: { ...QUICK, timeout: 300 } });
  const client = await baton.client();
  for (let i = 0; i < 20; i += 1) {
    const reply = await client.command('GET', `g${i}`);
    t.match(errorText(reply), /^[A-Z]+ /, 'an error');
  }
  fake.greeting = '';
  await waitFor('service', async () => await client.call('GET', 'k') === 'k');
  for (let i = 0; i < 20; i += 1) t.equal(await client.call('GET', `g${i}`), `g${i}`);
});
