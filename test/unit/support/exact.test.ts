/**
 * Goal: the exact load finds whatever a proxy could do to a stream of replies, and finds nothing
 *   where nothing is wrong.
 * Method: a small server in this process keeps the rules of Redis until it is told to break one.
 */
import t from 'tap';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { ExactLoad, isFlawless, lateServer, type ExactReport } from '../../support/exact-load.js';
import type { Role } from '../../support/exact-roles.js';
import { freePort } from '../../support/free-port.js';
import { ReplyParser } from '../../support/resp.js';
import type { Scope } from '../../support/scope.js';
import { scratch } from '../../support/scratch.js';
import { waitFor } from '../../support/wait-for.js';

t.setTimeout(120_000);

interface Peer {
  readonly socket: Socket;
  readonly id: number;
  name: string;
  isResp3: boolean;
  held: string; // a reply that is to come one too late
}

/** Changes the reply to a request, or does worse; called for each one once faults are due. */
type Fault = (peer: Peer, name: string, reply: string, server: Honest) => string;

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

class Honest {
  readonly values = new Map<string, string>();
  readonly peers = new Set<Peer>();
  fault: Fault | null = null;
  #connects = 0;

  async listen(scope: Scope, address: number | string): Promise<void> {
    const server = createServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      if (typeof address === 'number') server.listen(address, '127.0.0.1', resolve);
      else server.listen(address, resolve);
    });
    scope.teardown(() => new Promise<void>((resolve) => { server.close(() => resolve()); }));
  }

  #accept(socket: Socket): void {
    const peer: Peer = { socket, id: this.#connects += 1, name: '', isResp3: false, held: '' };
    this.peers.add(peer);
    const parser = new ReplyParser();
    socket.on('error', () => {});
    socket.on('close', () => this.peers.delete(peer));
    socket.on('data', (bytes) => {
      let out = '';
      for (const request of parser.push(bytes)) {
        const [name, ...args] = request.items.map((item) => item.bytes!.toString('latin1'));
        const reply = this.#answer(peer, name!, args);
        out += this.fault === null ? reply : this.fault(peer, name!, reply, this);
      }
      if (!socket.destroyed) socket.write(out, 'latin1');
    });
  }

  #answer(peer: Peer, name: string, args: string[]): string {
    const { values } = this;
    const get = (key: string): string => {
      const value = values.get(key);
      return value === undefined ? peer.isResp3 ? '_\r\n' : '$-1\r\n' : bulk(value);
    };
    const count = (test: (key: string) => boolean): string => `:${args.filter(test).length}\r\n`;
    switch (name) {
      case 'HELLO': peer.isResp3 = true; return '%1\r\n+proto\r\n:3\r\n';
      case 'CLIENT':
        if (args[0] === 'ID') return `:${peer.id}\r\n`;
        if (args[0] === 'GETNAME') return bulk(peer.name);
        peer.name = args[1]!;
        return '+OK\r\n';
      case 'INCR': {
        const value = String(Number(values.get(args[0]!) ?? 0) + 1);
        values.set(args[0]!, value);
        return `:${value}\r\n`;
      }
      case 'SET': case 'MSET':
        for (let i = 0; i < args.length; i += 2) values.set(args[i]!, args[i + 1]!);
        return '+OK\r\n';
      case 'GET': return get(args[0]!);
      case 'MGET': return `*${args.length}\r\n${args.map(get).join('')}`;
      case 'EXISTS': return count((key) => values.has(key));
      case 'DEL': return count((key) => values.delete(key));
      default: return `-ERR unknown command ${name}\r\n`;
    }
  }
}

const CAST: { [role in Role]?: number } = { mixed: 6, counter: 3, split: 3, half: 3, idle: 2 };

async function start(scope: Scope, cast = CAST): Promise<{ server: Honest; load: ExactLoad }> {
  const server = new Honest();
  const addresses = [await freePort(), join(scratch(scope), 'honest.sock')];
  for (const address of addresses) await server.listen(scope, address);
  const load = await ExactLoad.start(scope, { addresses, cast, patienceMs: 500 });
  return { server, load };
}

t.test('nothing is found where nothing is wrong', async (t) => {
  const late = await lateServer(t, 700);
  const relay = createServer((socket) => { // answers in place of what is late, as a proxy must
    socket.on('error', () => {});
    const parser = new ReplyParser();
    socket.on('data', (bytes) => {
      for (const request of parser.push(bytes)) {
        const [name, ...args] = request.items.map((item) => item.bytes!.toString('latin1'));
        if (name === 'CLIENT') socket.write({ ID: ':1\r\n', SETNAME: '+OK\r\n' }[args[0]!]
          ?? bulk('s20'));
        else if (name === 'HELLO') socket.write('%1\r\n+proto\r\n:3\r\n');
        else if (args[0]!.startsWith('late')) {
          setTimeout(() => socket.write('-ERR timed out\r\n'), 700);
        } else {
          late.handler({
            name: name!, args: args.map((arg) => Buffer.from(arg, 'latin1')),
            link: { socket, number: 0 }, arrivedMs: 0, reply: (reply) => { socket.write(reply); },
          });
        }
      }
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => { relay.listen(port, '127.0.0.1', resolve); });
  t.teardown(() => relay.close());
  const server = new Honest();
  const addresses = [await freePort(), join(scratch(t), 'honest.sock')];
  for (const address of addresses) await server.listen(t, address);
  const load = await ExactLoad.start(t, {
    addresses, cast: { ...CAST, slow: 2, big: 1, late: 1 }, late: { address: port, timeoutMs: 700 },
  });
  await load.round();
  await load.hold();
  const held = await load.report();
  t.equal(held.owed, 0, 'all replies are in');
  await load.go();
  const later = await load.round();
  t.ok(later.replies >= held.replies + 12, 'it goes on');
  await waitFor('requests to be late', async () => (await load.report()).byRole.late! > 6);
  isFlawless(t, await load.finish());
});

const FAULTS: { [name: string]: { fault: Fault; finds: keyof ExactReport; once?: boolean } } = {
  'INCR carried out twice': {
    finds: 'mismatches',
    fault: (_peer, name, reply) => name === 'INCR' ? `:${Number(reply.slice(1)) + 1}\r\n` : reply,
  },
  'a request carried out twice, its reply given once': {
    finds: 'mismatches',
    fault: (_peer, name, reply, { values }) => {
      const key = [...values.keys()].find((each) => each.endsWith('count'));
      if (name === 'INCR') values.set(key!, String(Number(values.get(key!)) + 1));
      return reply;
    },
  },
  'a reply given twice': { finds: 'mismatches', fault: (_peer, _name, reply) => reply + reply },
  'a reply dropped': {
    finds: 'mismatches',
    fault: (_peer, name, reply) => name === 'SET' ? '' : reply,
  },
  'two replies in the wrong order': {
    finds: 'mismatches',
    fault: (peer, _name, reply) => {
      const held = peer.held;
      peer.held = held === '' ? reply : '';
      return held === '' ? '' : reply + held;
    },
  },
  'somebody else\'s value': {
    finds: 'mismatches',
    fault: (_peer, name, reply, { values }) => {
      if (name !== 'GET' || !reply.startsWith('$')) return reply;
      const other = [...values].find(([key, value]) => key.endsWith('value')
        && value.length > 0 && bulk(value) !== reply);
      return other === undefined ? reply : bulk(other[1]);
    },
  },
  'an old value': {
    finds: 'mismatches',
    fault: (_peer, name, reply, { values }) => {
      if (name !== 'SET') return reply;
      for (const key of values.keys()) if (key.endsWith('value')) values.set(key, 'old');
      return reply;
    },
  },
  'one byte': {
    finds: 'mismatches',
    fault: (_peer, name, reply) =>
      name === 'MGET' ? `${reply.slice(0, -3)}${reply.at(-3) === 'a' ? 'b' : 'a'}\r\n` : reply,
  },
  'bytes that nobody asked for': {
    finds: 'mismatches',
    fault: (_peer, name, reply) => name === 'INCR' ? `${reply}+OK\r\n` : reply,
  },
  'RESP3 forgotten': {
    finds: 'mismatches',
    fault: (peer, _name, reply) => { peer.isResp3 = false; return reply; },
  },
  'the name forgotten': {
    finds: 'mismatches',
    fault: (peer, _name, reply) => { peer.name = 'nobody'; return reply; },
  },
  'an error': {
    finds: 'errors',
    fault: (_peer, name, reply) => name === 'EXISTS' ? '-ERR oops\r\n' : reply,
  },
  'a close': {
    finds: 'closes',
    fault: (peer, _name, reply) => { peer.socket.destroy(); return reply; },
  },
  'silence': { finds: 'stuck', fault: () => '' },
};

for (const [name, { fault, finds }] of Object.entries(FAULTS)) {
  t.test(`found: ${name}`, async (t) => {
    const { server, load } = await start(t);
    const before = await load.round();
    t.equal(before.trouble.length, 0, 'nothing is found too early');
    server.fault = fault;
    const after = await waitFor(`${finds} to be counted`, async () => {
      const report = await load.report();
      return Number(report[finds]) > 0 && report;
    });
    t.ok(after.trouble.length > 0, String(after.trouble[0]).slice(0, 200));
  });
}

t.test('found at the last question: an idle session that is somebody else now', async (t) => {
  const { server, load } = await start(t, { idle: 3 });
  server.fault = (peer, _name, reply) => { peer.name = 'nobody'; return reply; };
  for (const peer of server.peers) peer.name = 's1';
  t.equal((await load.finish()).mismatches, 2);
});
