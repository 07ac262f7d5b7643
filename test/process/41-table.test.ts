/**
 * Goal: every command there is gets an answer that Redis' users understand, and none of them
 *   harms the connection it came on.
 * Method: walks the command table: refused commands must be refused by name, in order; the others
 *   must answer as a Redis in the same state does; wrong numbers of arguments as in Redis.
 */
import t from 'tap';
import { Plan, Refusal, type Command } from '../../src/protocol/command.js';
import { commands } from '../../src/protocol/command-table.js';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { Redis } from '../support/redis.js';
import { errorText, plain, show, type Argument } from '../support/resp.js';

const direct = await Redis.start(t);
const redis = await Redis.start(t);
const baton = await Baton.start(t, { servers: [redis] });

function words(command: Command): string[] {
  return command.name.split('|');
}

/** The fewest words that the arity allows; keys and values are all "k". */
function smallest(command: Command): string[] {
  const name = words(command);
  const fill = Math.max(0, Math.abs(command.arity) - name.length);
  return [...name, ...Array.from({ length: fill }, () => 'k')];
}

const byPlan = (...plans: Plan[]): Command[] =>
  commands.filter((command) => plans.includes(command.plan));

t.test('refused commands: an error by name, in order, on a connection that stays', async (t) => {
  const client = await baton.client();
  const refused = byPlan(Plan.Refused);
  t.ok(refused.length > 50, `${refused.length} commands`);
  for (const command of refused) {
    const [before, reply, after] = await client.pipeline([
      ['SET', 'k', command.name], smallest(command), ['GET', 'k'],
    ]);
    t.equal(plain(before!), 'OK');
    const wanted = command.refusal === Refusal.Cluster
      ? 'cluster support disabled' : words(command).join(' ');
    const text = errorText(reply!).toLowerCase();
    t.ok(/^[a-z]+ /.test(text) && text.includes(wanted), `${command.name}: ${text}`);
    t.equal(plain(after!), command.name, `after ${command.name}`);
  }
});

t.test('refused commands reach no server', async (t) => {
  const client = await baton.client();
  await client.call('GET', 'k');
  const before = await redis.call('INFO', 'commandstats');
  await client.pipeline(byPlan(Plan.Refused).map(smallest));
  const counts = (text: unknown): string[] =>
    [...String(text).matchAll(/cmdstat_(\S+):calls=(\d+)/g)]
    .filter((match) => match[1] !== 'info').map((match) => `${match[1]} ${match[2]}`);
  t.same(counts(await redis.call('INFO', 'commandstats')), counts(before));
});

t.test('refused commands in both protocols and in any case of letters', async (t) => {
  const client = await baton.client();
  await client.command('HELLO', 3);
  for (const command of byPlan(Plan.Refused)) {
    const [name, ...rest] = smallest(command);
    const [reply, echo] = await client.pipeline([[name!.toUpperCase(), ...rest], ['ECHO', 'x']]);
    t.match(errorText(reply!), /^[A-Z]+ /, command.name);
    t.equal(plain(echo!), 'x');
  }
});

/**
 * Answers that tell time or chance; and those to a script that does not exist and whose count of
 * keys is no number: the count decides where to ask, so that mistake is found first.
 */
const UNSTEADY = ['randomkey', 'object|freq', 'xadd', 'spop', 'srandmember', 'zrandmember',
  'hrandfield', 'dump', 'object|idletime', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro'];

t.test('carried commands with the fewest arguments answer as Redis does', async (t) => {
  const [ours, theirs] = [await baton.client(), await Client.open(t, direct.port)];
  for (const command of byPlan(Plan.Plain, Plan.Keys, Plan.Split)) {
    if (UNSTEADY.includes(command.name)) continue;
    const line = smallest(command);
    await Promise.all([ours.command('DEL', 'k'), theirs.command('DEL', 'k')]);
    const [got, wanted] = [await ours.command(...line), await theirs.command(...line)];
    t.equal(show(got.raw), show(wanted.raw), line.join(' '));
  }
});

t.test('wrong numbers of arguments', async (t) => {
  const [ours, theirs] = [await baton.client(), await Client.open(t, direct.port)];
  const known = await knownTo(theirs);
  for (const command of commands) {
    if (command.plan === Plan.Refused || !known.has(command.name)) continue;
    const name = words(command);
    const lines: Argument[][] = [];
    if (Math.abs(command.arity) > name.length) lines.push(smallest(command).slice(0, -1));
    if (command.arity > 0) lines.push([...smallest(command), 'k']);
    for (const line of lines) {
      const [got, wanted] = [await ours.command(...line), await theirs.command(...line)];
      t.equal(show(got.raw), show(wanted.raw), line.join(' '));
    }
  }
});

/** Names of commands and subcommands that this Redis has. */
async function knownTo(client: Client): Promise<Set<string>> {
  return new Set((await client.call('COMMAND', 'LIST') as string[]));
}

t.test('unknown commands and subcommands', async (t) => {
  const [ours, theirs] = [await baton.client(), await Client.open(t, direct.port)];
  const lines: Argument[][] = [
    ['NOSUCH'], ['NoSuch', 'a', 'b'], ['nosuch', 'x'.repeat(500), 'y'], ['get ', 'k'], ['', 'k'],
    ['NOSUCH', Buffer.from([0, 1, 255, 13, 10])], ['x'.repeat(300)], ['CLIENT', 'nosuch'],
    ['OBJECT', 'nosuch', 'k'], ['COMMAND', 'nosuch'], ['CONFIG', 'NoSuch', 'x'],
    ['XGROUP', 'nosuch', 'k'], ['nosuch', ...Array.from({ length: 50 }, (_, i) => `arg${i}`)],
  ];
  for (const line of lines) {
    const [got, wanted] = [await ours.command(...line), await theirs.command(...line)];
    t.equal(show(got.raw), show(wanted.raw), show(Buffer.from(line.join(' '))));
    t.equal(await ours.call('PING'), 'PONG');
  }
});

t.test('every command in one pipeline: as many replies, the connection stays', async (t) => {
  const client = await baton.client();
  const lines = commands.filter((command) => command.name !== 'quit' && command.name !== 'hello')
    .filter((command) => command.name !== 'client|reply').map(smallest);
  const replies = await client.pipeline([...lines, ['ECHO', 'the end']]);
  t.equal(plain(replies.at(-1)!), 'the end');
  t.same(client.waiting, []);
});
