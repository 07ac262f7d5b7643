/** Settings in a line or two, as the loader would give them. */
import { parseSettings } from '../../../src/config/load.js';
import type { Settings } from '../../../src/config/settings.js';

/**
 * `settingsOf('alpha@7000: a=1 b=2', 'beta@/tmp/sock: c=3')`: pools, where they listen (a port of
 * 127.0.0.1 or a path), their servers and the ports of these. `{ … }` behind: more directives.
 */
export function settingsOf(...pools: string[]): Settings {
  const lines = ['global:', '  worker_processes: 2', 'pools:'];
  for (const text of pools) {
    const [, name, where, servers, more = ''] =
      /^(\S+)@(\S+): ([^{]*?)\s*(?:\{(.*)\})?$/.exec(text)!;
    const listen = where!.startsWith('/') ? where : `127.0.0.1:${where}`;
    lines.push(`  ${name}:`, `    listen: ${listen}`, '    redis: true');
    lines.push(...more.split(',').map((each) => each.trim()).filter((each) => each !== '')
      .map((each) => `    ${each}`));
    lines.push('    servers:');
    for (const server of servers!.split(' ')) {
      const [label, port] = server.split('=');
      lines.push(`      - 127.0.0.1:${port}:1 ${label}`);
    }
  }
  return parseSettings(lines.join('\n'), 'test.yml').settings;
}
