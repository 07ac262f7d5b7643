/**
 * CONFIG GET: what redis-benchmark and client libraries ask a server for before they begin. Values
 * that the proxy does not set itself are those of a Redis that keeps nothing on disk.
 */
import { commandId } from '../protocol/command-table.js';
import { latin1Of } from '../protocol/reply.js';
import { isGlobMatch } from '../protocol/text.js';
import { writerFor, type LocalAnswer, type LocalHandler, type LocalRequest, type ProxyFacts } from
  './local-answer.js';

const COMPATIBLE: readonly (readonly [name: string, value: string])[] = [
  ['appendfsync', 'everysec'],
  ['appendonly', 'no'],
  ['cluster-enabled', 'no'],
  ['databases', '1'],
  ['maxmemory', '0'],
  ['maxmemory-policy', 'noeviction'],
  ['notify-keyspace-events', ''],
  ['proto-max-bulk-len', '536870912'],
  ['save', ''],
  ['tcp-keepalive', '0'],
  ['timeout', '0'],
];

/** CONFIG GET pattern …; a name without a glob is answered in the case in which it was asked. */
function onGet(request: LocalRequest): LocalAnswer {
  const values = valuesOf(request.proxy);
  const found = new Map<string, string>();
  for (const word of request.args.slice(2)) {
    const pattern = latin1Of(word);
    for (const [name, value] of values) {
      if (!found.has(name) && isGlobMatch(pattern, name, true)) found.set(name, value);
    }
  }
  const asked = new Map(request.args.slice(2).map((word) => {
    const text = latin1Of(word);
    return [text.toLowerCase(), text] as const;
  }));
  const writer = writerFor(request).map(found.size);
  for (const [name, value] of found) writer.bulk(asked.get(name) ?? name).bulk(value);
  return { reply: writer.finish() };
}

function valuesOf(proxy: ProxyFacts): ReadonlyMap<string, string> {
  return new Map([...COMPATIBLE, ...proxy.configValues()]);
}

export const configHandlers: ReadonlyMap<number, LocalHandler> = new Map<number, LocalHandler>([
  [commandId('config|get'), onGet],
]);
