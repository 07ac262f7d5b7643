/**
 * INFO: sections of fields, in the form that collectors parse. Fields that are the same for every
 * Baton (what a client asks a Redis to find out whether it may begin) stand here; the others come
 * from the proxy's tables.
 */
import { REDIS_VERSION } from '../base/version.js';
import { commandId } from '../protocol/command-table.js';
import { latin1Of } from '../protocol/reply.js';
import {
  writerFor, type Field, type InfoSection, type LocalAnswer, type LocalHandler, type LocalRequest,
  type ProxyFacts,
} from './local-answer.js';

/** In the order in which they are shown. */
const SECTIONS: readonly InfoSection[] = [
  'server', 'clients', 'memory', 'persistence', 'stats', 'replication', 'cpu', 'commandstats',
  'errorstats', 'cluster', 'keyspace', 'proxy', 'pools',
];

/** Shown by INFO all and INFO everything, but not by INFO alone. */
const ONLY_ON_REQUEST: ReadonlySet<InfoSection> = new Set<InfoSection>(['commandstats']);

const WIDE_WORDS = new Set(['all', 'everything']);

/** INFO [section …]; unknown sections are silently absent, as in Redis. */
function onInfo(request: LocalRequest): LocalAnswer {
  const words = request.args.slice(1).map((word) => latin1Of(word).toLowerCase());
  const wanted = SECTIONS.filter((section) => isWanted(section, words));
  const text = wanted.map((section) => sectionText(section, request.proxy)).join('\r\n');
  return { reply: writerFor(request).verbatim(text).finish() };
}

function isWanted(section: InfoSection, words: readonly string[]): boolean {
  if (words.length === 0 || words.includes('default')) {
    return !ONLY_ON_REQUEST.has(section) || words.includes(section);
  }
  return words.includes(section) || words.some((word) => WIDE_WORDS.has(word));
}

function sectionText(section: InfoSection, proxy: ProxyFacts): string {
  const title = `# ${section[0].toUpperCase()}${section.slice(1)}\r\n`;
  const fields = [...fixedFields(section, proxy), ...proxy.infoFields(section)];
  return title + fields.map(([name, value]) => `${name}:${value}\r\n`).join('');
}

function fixedFields(section: InfoSection, proxy: ProxyFacts): readonly Field[] {
  switch (section) {
    case 'server':
      return [
        ['redis_version', REDIS_VERSION], ['redis_mode', 'standalone'],
        ['baton_version', proxy.version], ['arch_bits', 64], ['multiplexing_api', 'epoll'],
      ];
    case 'persistence': return [['loading', 0], ['async_loading', 0]];
    case 'replication': return [['role', 'master'], ['connected_slaves', 0]];
    case 'cluster': return [['cluster_enabled', 0]];
    default: return [];
  }
}

export const infoHandlers: ReadonlyMap<number, LocalHandler> = new Map<number, LocalHandler>([
  [commandId('info'), onInfo],
]);
