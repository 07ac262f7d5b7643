/**
 * twemproxy itself (Debian's nutcracker), as the reference for where keys live.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnChild } from './children.js';
import { Client } from './client.js';
import { poolsConf, type Directives } from './conf.js';
import { freePort } from './free-port.js';
import type { Scope } from './scope.js';
import { scratch } from './scratch.js';
import { Hopeless, waitFor } from './wait-for.js';

/** Starts pools (each without `listen`); resolves to their ports, and that of the `stats`. */
export async function startNutcracker(
  scope: Scope, pools: { [name: string]: Directives },
): Promise<Record<string, number>> {
  const directory = scratch(scope);
  const ports: Record<string, number> = {};
  const listening: { [name: string]: Directives } = {};
  for (const [name, pool] of Object.entries(pools)) {
    ports[name] = await freePort();
    listening[name] = { listen: `127.0.0.1:${ports[name]}`, redis: true, ...pool };
  }
  const conf = join(directory, 'nutcracker.yml');
  writeFileSync(conf, poolsConf(listening));
  const statsPort = await freePort();
  const child = spawnChild('nutcracker', ['-c', conf, '-s', String(statsPort),
    '-a', '127.0.0.1']);
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (bytes: Buffer) => { output += bytes.toString(); });
  }
  scope.teardown(() => child.kill('SIGKILL'));
  await waitFor('nutcracker to accept', async () => {
    if (child.exitCode !== null) throw new Hopeless(`nutcracker ended: ${output.slice(-500)}`);
    for (const port of Object.values(ports)) {
      (await Client.open({ teardown: () => {} }, port)).destroy();
    }
    return true;
  });
  ports.stats = statsPort;
  return ports;
}
