/**
 * A TCP port on 127.0.0.1 that nobody uses.
 *
 * The kernel could choose one (port 0), but what it hands out lies in the range from which it also
 * takes the local ports of outgoing connections: between our closing the probe and a server's
 * binding it, any client of a test that runs beside us may get it. So: a random port below that
 * range, probed by binding it. Starters still retry when a port was taken after all.
 */
import { createServer } from 'node:net';

const LOWEST = 10_000;
const HIGHEST = 32_000;
const TRIES = 200;

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      probe.close(() => resolve(true));
    });
  });
}

const given = new Set<number>(); // never twice to one test file

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (given.has(port)) continue;
    if (await isFree(port)) {
      given.add(port);
      return port;
    }
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST} in ${TRIES} tries`);
}
