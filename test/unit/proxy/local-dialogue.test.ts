/**
 * Goal: a client cannot tell a local answer from Redis' own.
 * Method: the same dialogue is led with a real redis-server and with answerLocally, in RESP2 and
 * RESP3, without and with a password; replies are compared byte for byte.
 */
import t, { type Test } from 'tap';
import { REDIS_VERSION } from '../../../src/base/version.js';
import { RedisServer, type RawConnection } from '../protocol/redis-server.js';
import { FakeSession } from './local-facts.js';

/** One command per line; words are separated by blanks, JSON where a word is odd. */
const OPEN = String.raw`
PING
PING hello
PING a b
ping
ECHO
ECHO hello
["ECHO", ""]
["ECHO", "a\r\nb\u0000c"]
ECHO a b
SELECT 0
SELECT x
SELECT 99
SELECT -1
SELECT 01
SELECT 99999999999999999999
HELLO
HELLO x
HELLO 1
HELLO 4
HELLO 3 FOO
HELLO 3 AUTH default
HELLO 3 SETNAME
["HELLO", "3", "SETNAME", "a b"]
AUTH foo bar
AUTH a b c
AUTH
CLIENT
CLIENT foo
CLIENT ID x
CLIENT GETNAME
CLIENT SETNAME x
CLIENT GETNAME
["CLIENT", "SETNAME", "a b"]
["CLIENT", "SETNAME", "a\nb"]
["CLIENT", "SETNAME", "\u00e9"]
["CLIENT", "SETNAME", ""]
CLIENT GETNAME
CLIENT SETNAME
CLIENT LIST TYPE foo
CLIENT LIST TYPE
CLIENT LIST TYPE master
CLIENT LIST FOO
CLIENT LIST ID
CLIENT LIST ID x
CLIENT LIST ID 99999
CLIENT NO-EVICT foo
CLIENT NO-EVICT on
CLIENT NO-EVICT off
CLIENT REPLY ON
CLIENT REPLY foo
CLIENT GETREDIR
CLIENT TRACKINGINFO
ACL WHOAMI
TIME x
COMMAND foo
COMMAND COUNT x
COMMAND INFO get mget bitop
COMMAND INFO nosuch GET
COMMAND INFO xread lcs lmpop mset rename ssubscribe
COMMAND INFO client|id object
COMMAND DOCS nosuch
COMMAND GETKEYS MSET a 1 b 2
COMMAND GETKEYS EVAL script 2 a b c
COMMAND GETKEYS EVAL script 9 a
COMMAND GETKEYS OBJECT ENCODING k
COMMAND GETKEYS PING a
COMMAND GETKEYS NOSUCH a
COMMAND GETKEYS GET a b
COMMAND GETKEYS LMPOP 5 a LEFT
COMMAND GETKEYS SPUBLISH a b
COMMAND GETKEYS CLIENT NOSUCH
COMMAND GETKEYSANDFLAGS SET k v GET
COMMAND GETKEYSANDFLAGS RENAME a b
COMMAND LIST FOO
COMMAND LIST FILTERBY FOO x
COMMAND LIST FILTERBY MODULE x
COMMAND LIST FILTERBY ACLCAT nosuch
COMMAND LIST FILTERBY PATTERN ge[t]
CONFIG
CONFIG foo
CONFIG GET
CONFIG GET save
CONFIG GET SAVE
CONFIG GET appendonly
CONFIG GET append[o]nly
CONFIG GET nosuch
CONFIG GET maxmemory-p?licy
INFO nosuch
INFO cluster
READONLY
READWRITE
ASKING
CLUSTER INFO
CLUSTER SLOTS
CLUSTER NOSUCH
NOSUCH
NOSUCH a b
["NO\r\nSUCH", "a\r\nb", "c\u0000d", ""]
["", "x"]
GET
GET a b
MSET
XGROUP NOSUCH k
XGROUP
XINFO STREAM
OBJECT ENCODING
RESET
HELLO 2
QUIT
`.trim().split('\n');

const GUARDED = `
PING
GET k
GET
NOSUCH a
CLIENT ID
CLIENT NOSUCH
COMMAND
BLPOP k 0
HELLO
HELLO 3
HELLO x
HELLO 3 AUTH default wrong
HELLO 3 AUTH other secret
HELLO 3 SETNAME me
AUTH wrong
AUTH default wrong
AUTH other secret
AUTH Default secret
AUTH a b c
ECHO x
AUTH secret
ECHO x
AUTH wrong
ECHO x
RESET
ECHO x
AUTH default secret
CLIENT GETNAME
RESET
HELLO 3 AUTH default secret SETNAME me
CLIENT GETNAME
RESET
PING
HELLO 2 AUTH default secret FOO
PING
QUIT
`.trim().split('\n');

for (const protocol of [2, 3] as const) {
  void t.test(`without a password, RESP${protocol}`, async (t) => {
    const server = await RedisServer.start();
    t.teardown(() => server.stop());
    const session = new FakeSession();
    const connection = await server.connect();
    if (protocol === 3) await connection.ask('HELLO', '3');
    if (protocol === 3) session.send('HELLO', '3');
    await compare(t, OPEN, session, connection);
  });
}

void t.test('with a password', async (t) => {
  const server = await RedisServer.start('--requirepass', 'secret');
  t.teardown(() => server.stop());
  const session = new FakeSession({ poolPassword: 'secret' });
  await compare(t, GUARDED, session, await server.connect());
});

void t.test('without a password any will do, for the right user', async (t) => {
  const server = await RedisServer.start();
  t.teardown(() => server.stop());
  const lines = ['AUTH x', 'AUTH default x', 'HELLO 3 AUTH default x', 'HELLO 3 AUTH other x'];
  await compare(t, lines, new FakeSession(), await server.connect());
});

async function compare(
  t: Test, lines: readonly string[], session: FakeSession, connection: RawConnection,
): Promise<void> {
  for (const line of lines) {
    const words = line.startsWith('[') ? JSON.parse(line) as string[] : line.split(' ');
    const theirs = (await connection.ask(...words)).toString('latin1');
    t.equal(neutral(session.ask(...words)), neutral(theirs), `${line} (${session.facts.protocol})`);
  }
  connection.close();
}

/** The server's version and the connection's id differ, and nothing else may. */
function neutral(reply: string): string {
  return reply
    .replace(`$5\r\n${REDIS_VERSION}\r\n`, '$6\r\n7.0.15\r\n')
    .replace(/\$2\r\nid\r\n:\d+/, '$2\r\nid\r\n:7')
    .replace(/\$6\r\nobject\r\n(.|\r\n)*$/, sortedSubcommands);
}

/** Redis lists subcommands in no order. */
function sortedSubcommands(described: string): string {
  return described.split('*10\r\n').sort().join('*10\r\n');
}
