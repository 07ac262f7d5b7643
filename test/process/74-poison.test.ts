/**
 * Goal: a request that kills every worker that meets it is met twice, no more: it is answered with an
 *   error in its place, what stands before and behind it in its pipeline as if nothing had been, and
 *   nobody else notices. Bare SIGKILLs at a request count only from the fifth in a row on.
 * Method: an addon that dies of what a request or a reply says (POISON in native/fault.h), and a
 *   program that throws, or never comes back, while it decides.
 */
import t, { type Test } from 'tap';
import { join } from 'node:path';
import { Baton, type BatonOptions } from '../support/baton.js';
import type { Client } from '../support/client.js';
import { isFlawless } from '../support/exact-load.js';
import { Faults } from '../support/faults.js';
import { Redis } from '../support/redis.js';
import { encode } from '../support/resp.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';
import { buildVariant } from '../support/variant.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(800_000); // for the whole file, on a busy machine
t.jobs = 3; // much of the time is the pause before a worker that keeps dying is replaced

const servers = await Redis.startMany(t, 3);
const program = join(await buildVariant(t, {
  'src/proxy/dispatch.ts': (text) => text.replace('  #planOf(at: number): number {', `$&
    const head = this.#words[at + Descriptor.Command] < 0 ? '' : headOf(this.view, at);
    if (head.includes('poison:d')) throw new Error('poisoned');
    while (head.includes('poison:h'));`),
}), 'bin/baton');

const PATIENCE_MS = 30_000; // several deaths, and the pauses between them
const REFUSED = /^-ERR the proxy has failed at this request twice/;

function deaths(baton: Baton): number {
  return baton.lanes().reduce((sum, { restarts }) => sum + restarts, 0);
}

/** What the log tells of requests that were given up. */
function heads(baton: Baton): string[] {
  return baton.log.split('\n').filter((line) => line.includes('"event":"request_poisoned"'))
    .map((line) => (JSON.parse(line) as { head: string }).head);
}

function options(t: Test): Partial<BatonOptions> {
  return { program, environment: Faults.open(t).environment, mayBeDamaged: true };
}

/** Sends a pipeline with a poison in its middle and checks every other reply. */
async function askAround(t: Test, client: Client, poison: string[]): Promise<string> {
  const asked = [['SET', 'around', '1'], ['GET', 'around'], ['MSET', 'a1', '1', 'a2', '2', 'a3', '3'],
    poison, ['GET', 'around'], ['MGET', 'a1', 'a2', 'a3'], ['PING']];
  const texts = (await client.pipeline(asked, PATIENCE_MS)).map(({ raw }) => raw.toString());
  t.same([...texts.slice(0, 3), ...texts.slice(4)], ['+OK\r\n', '$1\r\n1\r\n', '+OK\r\n',
    '$1\r\n1\r\n', '*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n', '+PONG\r\n']);
  return texts[3]!;
}

t.test('while it is decided, and while it is carried out', { buffered: true }, async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, options(t));
  const client = await baton.client();
  let expected = 0;
  for (const [poison, key] of [
    [['GET', 'poison:decide'], '"poison:d"…'],
    [['SET', 'poison:decide', 'x'.repeat(100_000)], '"poison:d"…'],
    [['MGET', 'one', 'poison:apply', 'three'], '"one"'],
  ] as const) {
    const head = `${poison[0]} with ${poison.length} arguments, ${encode(poison).length} bytes, key ${key}`;
    t.match(await askAround(t, client, [...poison]), REFUSED);
    t.equal(deaths(baton), expected += 2, 'two deaths');
    await waitFor(`a line about ${head}`, () => heads(baton).includes(head));
  }
  t.equal(await baton.metric('baton_lane_poisoned_total'), 3);
  t.equal(await client.call('GET', 'around'), '1', 'the session goes on');
  isFlawless(t, await load.finish());
});

t.test('several in one pipeline', { buffered: true }, async (t) => {
  const baton = await Baton.start(t, { servers, ...options(t) });
  const client = await baton.client();
  const replies = await client.pipeline([['GET', 'poison:apply'], ['SET', 'b', '1'],
    ['GET', 'poison:decide'], ['GET', 'b']], PATIENCE_MS);
  const texts = replies.map(({ raw }) => raw.toString());
  t.match(texts[0], REFUSED);
  t.match(texts[2], REFUSED);
  t.same([texts[1], texts[3]], ['+OK\r\n', '$1\r\n1\r\n']);
  t.equal(deaths(baton), 4);
});

t.test('while it is framed', { buffered: true }, async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, options(t));
  const client = await baton.client();
  const [before, poison] = await client.pipeline([['SET', 'c', '1'], ['GET', 'poison:frame']],
    PATIENCE_MS);
  t.equal(before!.raw.toString(), '+OK\r\n');
  t.match(poison!.raw.toString(), /^-ERR Protocol error: the proxy has failed at this twice/);
  await client.closed();
  t.equal(deaths(baton), 2);
  isFlawless(t, await load.finish());
});

t.test('a reply that cannot be read', { buffered: true }, async (t) => {
  const baton = await Baton.start(t, { servers: [servers[0]!], ...options(t) });
  const client = await baton.client();
  t.equal(await client.call('SET', 'd', 'poison:reply'), 'OK');
  client.push(encode(['GET', 'd']));
  t.match((await client.reply(PATIENCE_MS)).raw.toString(), /^-/);
  t.equal(deaths(baton), 2);
  await baton.logged(/"event":"link_poisoned"/);
  t.equal(await client.call('SET', 'd', 'sound'), 'OK');
  t.equal(await client.call('GET', 'd'), 'sound', 'over another connection');
});

t.test('a hang', { buffered: true }, async (t) => {
  const baton = await Baton.start(t, {
    servers, ...options(t), global: { worker_hang_timeout: '1s' },
  });
  t.match(await askAround(t, await baton.client(), ['GET', 'poison:hang']), REFUSED);
  t.equal(deaths(baton), 2);
});

t.test('bare SIGKILLs', { buffered: true }, async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, options(t), TCP_ONLY);
  const client = await baton.client();
  t.match(await askAround(t, client, ['GET', 'poison:kill-apply']), REFUSED);
  t.equal(deaths(baton), 5, 'the fifth in a row counts');

  for (let i = 0; i < 2; i += 1) {
    const [victim] = baton.workers();
    process.kill(victim!, 'SIGKILL');
    await waitFor('a new worker', () => baton.workers().length === 2 && !baton.workers().includes(victim!));
    t.equal(await client.call('GET', 'around'), '1');
  }
  t.equal(await baton.metric('baton_lane_poisoned_total'), 1, 'others prove nothing');
  isFlawless(t, await load.finish());
});
