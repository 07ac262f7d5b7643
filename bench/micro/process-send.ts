/** process.send(): what Node has between processes, measured as the others are. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pass } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { nowNs } from './clock.js';
import type { Figures } from './run.js';

const PEER = fileURLToPath(new URL('send-peer.js', import.meta.url));
const GAP_MS = 1; // Node's timers know no less

interface Found {
  readonly ended: number;
  readonly latencies: number[];
}

/** Messages of six small numbers, as an object of that is what people send. `batch` in a turn. */
export async function measureProcessSend(
  mode: string, batch: number, messages: number,
): Promise<Figures> {
  const peer = fork(PEER, [String(messages)]);
  try {
    await once(peer, 'message');
    const began = nowNs();
    const found = once(peer, 'message') as Promise<[Found]>;
    for (let left = messages; left > 0; left -= batch) {
      if (mode === 'idle') await pass(GAP_MS);
      await sendSome(peer, Math.min(batch, left), mode === 'idle');
    }
    const [{ ended, latencies }] = await found;
    latencies.sort((a, b) => a - b);
    const at = (share: number) => latencies[Math.floor(share * (latencies.length - 1))] ?? 0;
    return { ns: (ended - began) / messages, wakes: 0, p50: at(0.5), p99: at(0.99) };
  } finally {
    peer.disconnect();
  }
}

function sendSome(peer: ChildProcess, count: number, isStamped: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    for (let i = 1; i <= count; i += 1) {
      const message = { kind: 1, row: 2, value: 3, sent: isStamped ? nowNs() : 0, a: 4, b: 5 };
      const then = i < count ? undefined
        : (error: Error | null) => (error === null ? resolve() : reject(error));
      peer.send(message, then);
    }
  });
}
