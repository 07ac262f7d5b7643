/**
 * Goal: the service manager hears what sd_notify(3) would say, by a path and by an abstract name,
 *   and nobody is harmed where there is none.
 */
import t from 'tap';
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isNotified, noticeText, notify } from '../../../src/master/notify.js';
import { CppProgram } from '../../support/cpp-program.js';
import { scratch } from '../../support/scratch.js';
import { within } from '../../support/wait-for.js';

const NOTIFY = fileURLToPath(new URL('../../../src/master/notify.js', import.meta.url));
const directory = scratch(t);
const ear = CppProgram.compile(t, 'test/native/notified.cc');

/** In a process of its own, because the socket is known from a process's start on. */
function tell(socket: string, ...notices: object[]): void {
  const program = `import { notify } from ${JSON.stringify(NOTIFY)};
    for (const notice of ${JSON.stringify(notices)}) notify(notice);`;
  execFileSync(process.execPath, ['--input-type=module', '-e', program],
    { env: { ...process.env, NOTIFY_SOCKET: socket } });
}

t.test('words', async (t) => {
  t.equal(noticeText({ kind: 'ready', pid: 7 }, 1n), 'READY=1\nMAINPID=7');
  t.equal(noticeText({ kind: 'reloading' }, 123n), 'RELOADING=1\nMONOTONIC_USEC=123');
  t.equal(noticeText({ kind: 'stopping' }, 1n), 'STOPPING=1');
  t.equal(noticeText({ kind: 'status', text: 'two\nlines' }, 1n), 'STATUS=two lines');
});

for (const socket of [join(directory, 'notify'), `@${directory}/abstract`]) {
  t.test(`they arrive at ${socket.startsWith('@') ? 'an abstract name' : 'a path'}`, async (t) => {
    const child = spawn(ear.path, [socket, '3'], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => (await within('a line', lines.next())).value as string;
    t.equal(await next(), 'listening');
    tell(socket, { kind: 'ready', pid: 7 }, { kind: 'reloading' }, { kind: 'stopping' });
    t.equal(await next(), 'READY=1|MAINPID=7');
    const [, stamp] = /^RELOADING=1\|MONOTONIC_USEC=(\d+)$/.exec(await next())!;
    const nowUs = process.hrtime.bigint() / 1000n;
    t.ok(BigInt(stamp!) <= nowUs && BigInt(stamp!) > nowUs - 60_000_000n, 'a stamp of just now');
    t.equal(await next(), 'STOPPING=1');
  });
}

t.test('a manager that is gone, and none at all', async (t) => {
  t.doesNotThrow(() => tell(join(directory, 'nobody'), { kind: 'ready', pid: 7 }));
  t.equal(isNotified, false);
  t.doesNotThrow(() => notify({ kind: 'stopping' }));
});
