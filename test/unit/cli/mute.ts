/**
 * A program with a mute parent and masters that do nothing: each signal is a line of output, USR2
 * starts the next master, HUP puts the receiver in charge, TERM ends with the code of its turn.
 * With MUTE_DIES=1 masters die as soon as they have said that they begin.
 */
import { spawn } from 'node:child_process';
import { hasParent, runParent } from '../../../src/cli/parent.js';
import { PARENT_LINE_VARIABLE, ParentLine } from '../../../src/master/parent-line.js';
import { howToExec } from '../../../src/master/typed-command.js';

const turn = Number(process.env['TURN'] ?? 0);
const say = (words: string): boolean => process.stdout.write(`${turn} ${process.pid} ${words}\n`);

function startNext(fd: number): void {
  const { command, args, cwd, argv0 } = howToExec();
  spawn(command, args, {
    argv0, cwd, stdio: ['ignore', 'inherit', 'inherit', fd],
    env: { ...process.env, [PARENT_LINE_VARIABLE]: '3', TURN: String(turn + 1) },
  });
}

function beMaster(): void {
  const keepAlive = setInterval(() => {}, 1 << 30);
  const end = (why: string): void => {
    say(why);
    line.ended(turn);
    clearInterval(keepAlive);
    process.exit(turn);
  };
  process.on('SIGTERM', () => end('TERM'));
  process.on('SIGQUIT', () => end('QUIT'));
  process.on('SIGWINCH', () => say('WINCH'));
  process.on('SIGUSR1', () => {
    say('USR1');
    const script = 'sleep 0.01 & echo "orphan $!"';
    spawn('sh', ['-c', script], { stdio: ['ignore', 'inherit', 'ignore'] });
  });
  process.on('SIGUSR2', () => {
    say('USR2');
    startNext(line.fd);
  });
  process.on('SIGHUP', () => {
    say('HUP');
    line.serving();
  });
  if (process.env['MUTE_DIES'] === '1') {
    say('begins');
    process.kill(process.pid, 'SIGKILL');
  }
  const line = ParentLine.fromEnvironment()!;
  line.onGone(() => end('GONE'));
  line.serving();
  say('serves');
}

if (hasParent()) beMaster();
else process.exit(await runParent());
