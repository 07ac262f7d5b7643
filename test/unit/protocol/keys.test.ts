/**
 * Goal: the proxy finds the same keys in a command as Redis does.
 * Method: both are asked for the same command lines; Redis by COMMAND GETKEYSANDFLAGS.
 */
import t from 'tap';
import { NO_COMMAND, commands, resolveCommand } from
  '../../../src/protocol/command-table.js';
import { Flag } from '../../../src/protocol/command.js';
import { keyFaultError } from '../../../src/protocol/errors.js';
import { hasKeys, isBlockingRead, keyUsesOf, keysOf } from '../../../src/protocol/keys.js';
import { decodeReply } from './decode-reply.js';
import { RedisServer, argsOf } from './redis-server.js';

const LINES = `
get k
set k v
set k v get
set k v nx get ex 10
getex k ex 10
mget a b c
mget a a
mset a 1 b 2
mset a 1 b
msetnx a 1 b 2
del a b c
exists a
rename a b
copy a b db 1
lcs a b
bitop and d a b
bitop not d a
bitfield k get u8 0
bitfield k get u8 0 set u8 0 1
bitfield k overflow fail get u8 0
bitfield k overflow fail incrby u8 0 1
bitfield k
bitfield_ro k get u8 0
sort k
sort k by p* get # get o* limit 0 10 desc
sort k store d
sort k store d store e
sort k by store get store
sort k limit 0 store d
sort k store
sort_ro k by p*
object encoding k
object freq k
memory usage k samples 5
xgroup create k g $ mkstream
xgroup setid k g 0
xinfo stream k full
xinfo consumers k g
xadd k * f v
xread streams a 0
xread count 1 streams a b 0 0
xread block 0 streams a b c 0 0 0
xread streams a b 0
xread count 1 a 0
xreadgroup group g c streams a 0
xreadgroup group streams c noack streams a b 0 0
xreadgroup group g c count 1 block 5 streams a b > >
eval script 0
eval script 0 arg
eval script 2 a b arg
eval script 3 a b
eval script x a b
eval script -1 a b
evalsha sha 1 a
eval_ro script 1 a
fcall f 1 a b
fcall_ro f 0
zunion 2 a b weights 1 2
zunion 3 a b
zunion 0 a
zunion x a
zinter 1 a
zdiff 2 a b withscores
zintercard 2 a b limit 1
sintercard 2 a b
zunionstore d 2 a b
zunionstore d 9 a b
zinterstore d 1 a aggregate max
zdiffstore d 2 a b
zrangestore d s 0 -1
lmpop 2 a b left
lmpop 9 a b left
zmpop 1 a min
blmpop 0 2 a b left
bzmpop 0 1 a min
blpop a b 0
brpoplpush a b 0
blmove a b left right 0
lmove a b left right
smove a b m
sinterstore d a b
sdiff a b c
pfcount a b
pfmerge d a b
pfmerge d
geoadd k 1 2 m
georadius k 1 2 3 m
georadius k 1 2 3 m store d
georadius k 1 2 3 m asc storedist d
georadius k 1 2 3 m store
georadiusbymember k m 3 m store d
geosearchstore d s fromlonlat 1 2 byradius 1 m
migrate host 1 k 0 10
migrate host 1 "" 0 10 keys a b
migrate host 1 "" 0 10 copy auth keys keys a b
migrate host 1 k 0 10 replace
watch a b
spublish c m
ssubscribe c d
restore k 0 v
touch a b
lpop k 2
`.trim().split('\n');

void t.test('keys and their uses, as COMMAND GETKEYSANDFLAGS has them', async (t) => {
  const server = await RedisServer.start();
  t.teardown(() => server.stop());
  const connection = await server.connect();
  for (const line of LINES) {
    const args = argsOf(line);
    const reply = decodeReply(await connection.ask('COMMAND', 'GETKEYSANDFLAGS', ...args));
    t.same(oursAsReply(args), reply, line);
  }
  connection.close();
});

void t.test('faults are answered in the words of Redis', async (t) => {
  const server = await RedisServer.start();
  t.teardown(() => server.stop());
  const connection = await server.connect();
  const lines = `eval s x,eval s 9 a,eval s -1 a,eval_ro s 9 a,zunion x a,zunion 0 a,zunion -1 a
    zunion 3 a,zinter x a,zdiff 0 a,zunionstore d 3 a,zunionstore d 0 a,zdiffstore d x a
    zinterstore d 0 a,sintercard x a,sintercard 0 a,sintercard 5 a,zintercard x a,zintercard 0 a
    zintercard 5 a,lmpop x a left,lmpop 0 a left,lmpop 5 a left,zmpop x a min,zmpop 0 a min
    zmpop 5 a min,xread foo a b c,xread count 1 a,xreadgroup group g c count 1 a b`;
  for (const line of lines.split(/,|\n\s+/)) {
    const args = argsOf(line);
    const id = resolveCommand(args);
    t.equal(keysOf(id, args), null, line);
    t.equal(`-${keyFaultError(id, args)}\r\n`, (await connection.ask(...args)).toString(), line);
  }
  connection.close();
});

void t.test('keys at fixed places agree with first, last and step', async (t) => {
  for (const { id, name, flags, firstKey, lastKey, keyStep } of commands) {
    if (firstKey === 0 || flags & Flag.MovableKeys || !hasKeys(id)) continue;
    const args = Array.from({ length: 9 }, (_, n) => Buffer.from(`w${n}`));
    const end = lastKey < 0 ? args.length + lastKey : lastKey;
    const expected: number[] = [];
    for (let i = firstKey; i <= end; i += keyStep) expected.push(i);
    t.same(keysOf(id, args), expected, name);
  }
});

void t.test('commands without keys have none', async (t) => {
  for (const line of ['ping', 'ping k', 'client id', 'ssubscribe a b', 'keys *', 'scan 0']) {
    const args = argsOf(line);
    const id = resolveCommand(args);
    t.not(id, NO_COMMAND);
    t.notOk(hasKeys(id), line);
    t.same(keysOf(id, args), [], line);
  }
});

void t.test('too few words are a fault, not an exception', async (t) => {
  for (const { id, name } of commands) {
    for (let argc = 1; argc < 8; argc += 1) {
      const args = Array.from({ length: argc }, () => Buffer.from('7'));
      const keys = keysOf(id, args) ?? [];
      t.ok(keys.every((index) => index > 0 && index < argc), `${name} with ${argc} words`);
    }
  }
});

void t.test('XREAD waits only when it says so', async (t) => {
  const waits = (line: string): boolean => {
    const args = argsOf(line);
    return isBlockingRead(resolveCommand(args), args);
  };
  t.ok(waits('xread block 0 streams a 0'));
  t.ok(waits('XREAD COUNT 1 BLOCK 0 STREAMS a 0'));
  t.ok(waits('xreadgroup group g c noack block 0 streams a >'));
  t.notOk(waits('xread streams block 0'), 'a key of that name');
  t.notOk(waits('xreadgroup group block c streams a >'), 'a group of that name');
  t.notOk(waits('xreadgroup group g block streams a >'), 'a consumer of that name');
  t.notOk(waits('xread count block streams a 0'), 'no number');
  t.notOk(waits('get block'));
});

/** Our answer in the form of Redis' reply: [[key, [flag …]] …], or its error. */
function oursAsReply(args: Buffer[]): unknown {
  const id = resolveCommand(args);
  if (!hasKeys(id)) return { error: 'ERR The command has no key arguments' };
  const uses = keyUsesOf(id, args) ?? [];
  if (uses.length > 0) return uses.map(({ index, flags }) => [args[index].toString(), flags]);
  if (commands[id].flags & Flag.NoMandatoryKeys) return [];
  return { error: 'ERR Invalid arguments specified for command' };
}
