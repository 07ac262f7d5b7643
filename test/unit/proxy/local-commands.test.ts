/**
 * Goal: every command of the table that the proxy does not forward is answered, and what a
 * command changes is said exactly.
 * Method: the handlers are pure, so they are simply asked.
 */
import t from 'tap';
import { Plan } from '../../../src/protocol/command.js';
import { NO_COMMAND, commandId, commands, resolveCommand } from
  '../../../src/protocol/command-table.js';
import { rejectionOf, routingKeysOf } from '../../../src/proxy/local-admission.js';
import { isAnsweredLocally } from '../../../src/proxy/local-commands.js';
import { clientLine } from '../../../src/proxy/local-client.js';
import { decodeReply } from '../protocol/decode-reply.js';
import { argsOf } from '../protocol/redis-server.js';
import { FakeSession } from './local-facts.js';

void t.test('every local row has a handler, and no other has', async (t) => {
  for (const { id, name, plan } of commands) {
    t.equal(isAnsweredLocally(id), plan === Plan.Local, name);
  }
});

void t.test('the whole table, from a session that may do everything', async (t) => {
  for (const { id, name, plan, arity } of commands) {
    const words = name.split('|');
    while (words.length < Math.abs(arity)) words.push('1');
    const args = words.map((word) => Buffer.from(word));
    const rejection = rejectionOf(resolveCommand(args), args, true);
    if (plan === Plan.Refused) t.match(rejection, /not supported by Baton|cluster support/, name);
    else if (plan === Plan.Container) t.match(rejection, /unknown subcommand '1'/, name);
    else t.equal(rejection, null, name);
    t.equal(rejectionOf(id, args, false) === null, name === 'auth' || name === 'hello' ||
      name === 'quit' || name === 'reset', `${name} before AUTH`);
  }
});

void t.test('refusals name the command and the reason, and keep the connection', async (t) => {
  const session = new FakeSession();
  for (const [line, text] of [
    ['BLPOP k 0', "command 'blpop' is not supported by Baton: it blocks the connection that all " +
      'clients share'],
    ['Client Pause 10', "command 'client pause' is not supported by Baton: it administers a " +
      'server, and clients do not know which'],
    ['KEYS *', "command 'keys' is not supported by Baton: it names no key, so no server can be " +
      'chosen'],
    ['MULTI', "command 'multi' is not supported by Baton: it changes the connection that all " +
      'clients share'],
    ['PUBLISH c m', "command 'publish' is not supported by Baton: messages are not passed on " +
      'between clients'],
    ['CLIENT REPLY OFF', "option 'off' of command 'client reply' is not supported by Baton: it " +
      'changes the connection that all clients share'],
    ['XREAD BLOCK 0 STREAMS a 0', "option 'block' of command 'xread' is not supported by Baton: " +
      'it blocks the connection that all clients share'],
  ]) {
    const answer = session.send(...line.split(' '));
    t.equal(answer.reply.toString(), `-ERR ${text}\r\n`, line);
    t.notOk(answer.close);
    t.notOk(answer.changes);
  }
});

void t.test('keys to route by, or why there are none', async (t) => {
  const keys = (line: string): number[] | string =>
    routingKeysOf(resolveCommand(argsOf(line)), argsOf(line));
  t.same(keys('GET k'), [1]);
  t.same(keys('OBJECT ENCODING k'), [2]);
  t.same(keys('EVAL s 2 a b c'), [3, 4]);
  t.same(keys('MSET a 1 b 2'), [1, 3]);
  t.same(keys('XREADGROUP GROUP g c STREAMS a b > >'), [5, 6]);
  t.equal(keys('EVAL s 0'),
    "ERR command 'eval' is not supported by Baton without a key: no server can be chosen");
  t.equal(keys('LMPOP 0 a LEFT'), 'ERR numkeys should be greater than 0');
  t.equal(keys('XREAD COUNT 1 a'), 'ERR syntax error');
});

void t.test('changes are said, and only those', async (t) => {
  const session = new FakeSession({ poolPassword: 'secret', poolDb: 5 });
  t.same(session.send('AUTH', 'nope').changes, undefined);
  t.same(session.send('AUTH', 'secret').changes, { authenticated: true });
  t.same(session.send('SELECT', '0').changes, { db: 0 });
  t.same(session.send('SELECT', '5').changes, { db: 5 });
  t.equal(session.send('SELECT', '4').reply.toString(), '-ERR DB index is out of range\r\n');
  t.same(session.send('CLIENT', 'SETNAME', 'me').changes, { name: 'me' });
  t.same(session.send('CLIENT', 'SETINFO', 'LIB-NAME', 'ioredis').changes, { libName: 'ioredis' });
  t.same(session.send('client', 'setinfo', 'lib-ver', '6').changes, { libVer: '6' });
  t.same(session.send('HELLO', '3', 'SETNAME', 'x').changes, { name: 'x', protocol: 3 });
  t.same(session.send('HELLO').changes, {});
  t.same(session.send('PING').changes, undefined);
  t.same(session.send('RESET').changes,
    { reset: true, protocol: 2, name: '', db: 0, authenticated: false });
  t.same(session.send('HELLO', '3', 'AUTH', 'default', 'secret', 'FOO').changes,
    { authenticated: true }, 'what came before the mistake counts');
  const quit = session.send('QUIT');
  t.ok(quit.close);
  t.equal(quit.reply.toString(), '+OK\r\n');
});

void t.test('a password may hold any bytes', async (t) => {
  const session = new FakeSession({ poolPassword: 'pässwörd' });
  t.equal(session.ask('AUTH', Buffer.from('passwort')).slice(0, 10), '-WRONGPASS');
  t.equal(session.ask('AUTH', Buffer.from('pässwörd')), '+OK\r\n');
});

void t.test('CLIENT SETINFO, as Redis 7.2 answers it', async (t) => {
  const session = new FakeSession();
  t.equal(session.ask('CLIENT', 'SETINFO', 'foo', 'x'), "-ERR Unrecognized option 'foo'\r\n");
  t.equal(session.ask('CLIENT', 'SETINFO', 'Lib-Name', 'a b'),
    '-ERR Lib-Name cannot contain spaces, newlines or special characters.\r\n');
  t.equal(session.ask('CLIENT', 'SETINFO', 'lib-name', ''), '+OK\r\n');
  t.equal(session.ask('CLIENT', 'NO-TOUCH', 'ON'), '+OK\r\n');
});

void t.test('CLIENT LIST and INFO', async (t) => {
  const session = new FakeSession({ protocol: 3, name: 'me', libName: 'x', libVer: '1' });
  const line = clientLine(session.facts);
  t.equal(line, 'id=7 addr=127.0.0.1:50000 laddr=127.0.0.1:6380 fd=12 name=me age=5 idle=1 ' +
    'flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 ' +
    'rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=client|list user=default redir=-1 resp=3 ' +
    'lib-name=x lib-ver=1 pool=alpha lane=0');
  const verbatim = `=${line.length + 5}\r\ntxt:${line}\n\r\n`;
  t.equal(session.ask('CLIENT', 'INFO'), verbatim);
  t.equal(session.ask('CLIENT', 'LIST'), verbatim);
  t.equal(session.ask('CLIENT', 'LIST', 'TYPE', 'normal'), verbatim);
  t.equal(session.ask('CLIENT', 'LIST', 'ID', '3', '7'), verbatim);
  t.equal(session.ask('CLIENT', 'LIST', 'TYPE', 'pubsub'), '=4\r\ntxt:\r\n');
  t.equal(session.ask('CLIENT', 'ID'), ':7\r\n');
});

void t.test('INFO', async (t) => {
  const session = new FakeSession();
  const info = (...words: string[]): string =>
    decodeReply(session.send('INFO', ...words).reply) as string;
  t.match(info(), /^# Server\r\nredis_version:7\.2\.0\r\n/);
  t.match(info(), /\r\n\r\n# Clients\r\nconnected_clients:3\r\n\r\n# Memory\r\n/);
  t.equal(info('clients'), '# Clients\r\nconnected_clients:3\r\n');
  t.equal(info('CLUSTER', 'Replication'),
    '# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n');
  t.notMatch(info('default'), /# Commandstats/);
  t.match(info('default', 'commandstats'), /# Commandstats/);
  t.match(info('all'), /# Commandstats/);
  t.match(info('everything'), /# Pools/);
  t.equal(info('nosuch'), '');
});

void t.test('CONFIG GET', async (t) => {
  const session = new FakeSession({ protocol: 3 });
  const get = (...words: string[]): unknown =>
    decodeReply(session.send('CONFIG', 'GET', ...words).reply);
  t.same(get('timeout'), { timeout: '400' }, 'the proxy knows better than the defaults');
  t.same(get('maxclients', 'SAVE', 'save'), { maxclients: '10000', save: '' });
  t.same(get('max*'), { maxmemory: '0', 'maxmemory-policy': 'noeviction', maxclients: '10000' });
  t.ok(Object.keys(get('*') as object).length > 10);
});

void t.test('COMMAND tells the whole table in both protocols', async (t) => {
  for (const protocol of [2, 3] as const) {
    const session = new FakeSession({ protocol });
    const top = commands.filter((command) => command.parent === null);
    const described = decodeReply(session.send('COMMAND').reply) as unknown[][];
    t.same(described.map(([name]) => name), top.map(({ name }) => name));
    t.same(session.send('COMMAND', 'INFO').reply, session.send('COMMAND').reply);
    t.equal(decodeReply(session.send('COMMAND', 'COUNT').reply), top.length);
    t.same(decodeReply(session.send('COMMAND', 'LIST').reply), commands.map(({ name }) => name));
    const geo = decodeReply(session.send('command', 'list', 'filterby', 'aclcat', 'GEO').reply);
    t.equal((geo as string[]).length, 10);
  }
});

void t.test('COMMAND DOCS', async (t) => {
  const session = new FakeSession({ protocol: 3 });
  const docs = (...words: string[]): Record<string, Record<string, unknown>> =>
    decodeReply(session.send('COMMAND', 'DOCS', ...words).reply) as never;
  t.same(docs('GET', 'nosuch'),
    { get: { summary: 'Reads a string', since: '1.0.0', group: 'string' } });
  t.ok(docs('client').client.subcommands);
  t.ok(docs('client|id')['client|id']);
  for (const { name, summary } of commands.filter((command) => command.parent === null)) {
    t.equal(docs()[name].summary, summary);
  }
});

void t.test('HELP lists what is carried', async (t) => {
  const session = new FakeSession();
  for (const { name, parent } of commands) {
    if (parent === null || !name.endsWith('|help')) continue;
    const lines = decodeReply(session.send(parent.name, 'HELP').reply) as string[];
    t.match(lines[0], `${parent.name.toUpperCase()} <subcommand>`);
    t.ok(lines.includes('HELP'));
    for (const line of lines.filter((line) => /^[A-Z]/.test(line)).slice(1)) {
      t.not(commandId(`${parent.name}|${line}`), NO_COMMAND, `${parent.name} ${line}`);
    }
  }
  t.notOk(session.ask('CLIENT', 'HELP').includes('PAUSE'));
});

void t.test('TIME', async (t) => {
  t.equal(new FakeSession().ask('TIME'), '*2\r\n$10\r\n1795195974\r\n$5\r\n20467\r\n');
});
