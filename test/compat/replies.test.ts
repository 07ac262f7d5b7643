/**
 * Goal: a client cannot tell Baton from the Redis behind it by the replies to its commands.
 * Method: the same few hundred commands, of all families, go to a Redis and through Baton, to one
 *   server and to three, in RESP2 and RESP3, one by one and in one pipeline; raw replies must be
 *   equal.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { Redis } from '../support/redis.js';
import { show } from '../support/resp.js';
import { families, timed } from './script.js';

t.setTimeout(120_000);
const direct = await Redis.start(t);
const servers = await Redis.startMany(t, 3);
const fronts = {
  'one server': await Baton.start(t, { servers: servers.slice(0, 1) }),
  'three servers': await Baton.start(t, {
    servers, pool: { hash: 'md5', hash_tag: '"{}"' }, global: { worker_processes: 2 },
  }),
};

async function pair(baton: Baton, protocol: number): Promise<[Client, Client]> {
  await Promise.all([direct, ...servers].map((server) => server.flush()));
  const [ours, theirs] = [await baton.client(), await Client.open(t, direct.port)];
  for (const client of [ours, theirs]) await client.command('HELLO', protocol);
  return [ours, theirs];
}

for (const [layout, baton] of Object.entries(fronts)) {
  for (const protocol of [2, 3]) {
    t.test(`${layout}, RESP${protocol}, one by one`, async (t) => {
      const [ours, theirs] = await pair(baton, protocol);
      for (const [family, lines] of Object.entries(families)) {
        for (const line of lines) {
          const [got, wanted] = [await ours.command(...line), await theirs.command(...line)];
          t.equal(show(got.raw), show(wanted.raw), `${family}: ${line.join(' ')}`);
        }
      }
    });

    t.test(`${layout}, RESP${protocol}, in one pipeline`, async (t) => {
      const [ours, theirs] = await pair(baton, protocol);
      const lines = Object.values(families).flat();
      const [got, wanted] = [await ours.pipeline(lines), await theirs.pipeline(lines)];
      const wrong = lines.filter((_, i) => !got[i]!.raw.equals(wanted[i]!.raw));
      t.same(wrong, []);
      t.same(ours.waiting, []);
    });
  }
}

/** A reply with every number made 0, and lengths with them: what is left is its form. */
function form(raw: Buffer): string {
  return raw.toString('latin1').replace(/\d+/g, '0');
}

t.test('replies that tell times have the same form', async (t) => {
  const [ours, theirs] = await pair(fronts['one server'], 2);
  for (const line of Object.values(families).flat()) {
    await Promise.all([ours.command(...line), theirs.command(...line)]);
  }
  for (const line of timed) {
    const [got, wanted] = [await ours.command(...line), await theirs.command(...line)];
    t.equal(form(got.raw), form(wanted.raw), line.join(' '));
  }
});
