/**
 * A configuration file → checked settings, or every mistake in it.
 *
 *   text ─ readYaml ─► what is written ─ this file ─► drafts ─ check.ts ─► Settings
 *
 * Two dialects. Flat, twemproxy's: the top level names pools. Full, meitu's: `global:` and
 * `pools:` with the pools inside. A file is full when it has either key, unless the value behind
 * it is itself a pool (a twemproxy pool may be called "global").
 *
 * A mistake never ends the reading: the default, or nothing, takes the place of the wrong value,
 * and whatever depends on a value that is missing for that reason is not complained about.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { NAME_MAX_BYTES, Wrong } from './addresses.js';
import type { PoolDraft, ScopeDraft } from './check.js';
import { checkAddresses, checkPool } from './check.js';
import type { AnyDirective, Scope } from './directives.js';
import { directivesOf, findDirective, REQUIRED } from './directives.js';
import { didYouMean } from './nearest.js';
import type { Place } from './remarks.js';
import { ConfigError, quoted, Remarks } from './remarks.js';
import type {
  GlobalSettings, Lines, PoolSettings, ServerSettings, Settings,
} from './settings.js';
import { getSystemErrorMessage } from './system-error.js';
import type { ListType, ScalarType } from './value-types.js';
import { allowedBy } from './value-types.js';
import type {
  Written, WrittenEntry, WrittenList, WrittenMap, WrittenScalar,
} from './yaml-source.js';
import { readYaml } from './yaml-source.js';

export interface Loaded {
  settings: Settings;
  warnings: string[];   // finished lines, as those of ConfigError.mistakes
}

const BEGIN: Place = { line: 1, column: 1 };
const FILE_FORM = 'pools by name, or "global:" and "pools:"';

/** Reads and checks a file. Throws ConfigError with every mistake, also when it is unreadable. */
export function loadSettings(file: string): Loaded {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new ConfigError([`${file}: cannot be read: ${getSystemErrorMessage(error)}`]);
  }
  if (!isUtf8(bytes)) {
    const line = firstLineThatIsNotUtf8(bytes);
    throw new ConfigError([`${file}:${line}:1: configuration: is not UTF-8, allowed: UTF-8 text`]);
  }
  return parseSettings(bytes.toString('utf8'), file);
}

function firstLineThatIsNotUtf8(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end;
  }
  return line;
}

/** Checks the text of a file; `file` is its name in messages. Throws ConfigError. */
export function parseSettings(text: string, file: string): Loaded {
  const mistakes = new Remarks(file);
  const warnings = new Remarks(file);
  const root = readYaml(text, mistakes);
  if (root === null && mistakes.isEmpty) {
    mistakes.add(BEGIN, 'configuration', `is empty, allowed: ${FILE_FORM}`);
  }
  const loader = new Loader(mistakes, warnings);
  const drafts = root === null ? null : loader.readRoot(root);
  if (drafts !== null) {
    for (const pool of drafts.pools) checkPool(pool, mistakes, warnings);
    checkAddresses(drafts.global, drafts.pools, mistakes);
  }
  if (drafts === null || !mistakes.isEmpty) throw new ConfigError(mistakes.lines());
  const settings: Settings = {
    file,
    global: { ...drafts.global.values, lines: drafts.global.lines } as GlobalSettings,
    pools: drafts.pools.map(finishPool).sort(byName),
  };
  return { settings, warnings: warnings.lines() };
}

function finishPool(draft: PoolDraft): PoolSettings {
  const { name, place, lines, values } = draft;
  const servers = [...(values.servers ?? [])].sort(byName);
  return { name, line: place.line, ...values, servers, lines } as PoolSettings;
}

/** twemproxy's order, on which modula's indices depend: shorter first, then by bytes. */
function byName(a: { name: string }, b: { name: string }): number {
  const left = Buffer.from(a.name);
  const right = Buffer.from(b.name);
  return left.length - right.length || Buffer.compare(left, right);
}

interface Drafts {
  global: ScopeDraft;
  pools: PoolDraft[];
}

class Loader {
  readonly #mistakes: Remarks;
  readonly #warnings: Remarks;

  constructor(mistakes: Remarks, warnings: Remarks) {
    this.#mistakes = mistakes;
    this.#warnings = warnings;
  }

  readRoot(root: Written): Drafts | null {
    if (root.kind === 'broken') return null;
    if (root.kind !== 'map') {
      const what = root.kind === 'list' ? 'a list' : 'one value';
      this.#mistakes.add(root.place, 'configuration', `is ${what}, allowed: ${FILE_FORM}`);
      return null;
    }
    const isFull = root.entries.some(({ key, value }) =>
      (key === 'global' || key === 'pools') && !isPoolBody(value));
    return isFull ? this.#readFull(root) : this.#readFlat(root);
  }

  #readFlat(root: WrittenMap): Drafts {
    const global = this.#readScope('global', null);
    if (root.entries.length === 0 && root.isWhole) {
      this.#mistakes.add(root.place, 'configuration', `is empty, allowed: ${FILE_FORM}`);
    }
    return { global, pools: this.#readPools(root.entries) };
  }

  #readFull(root: WrittenMap): Drafts {
    let global: ScopeDraft | null = null;
    let pools: PoolDraft[] | null = null;
    for (const entry of root.entries) {
      if (entry.key === 'global') global = this.#readScope('global', this.#bodyOf(entry));
      else if (entry.key === 'pools') pools = this.#readPoolsEntry(entry);
      else this.#refuseRootKey(entry);
    }
    if (pools === null) {
      this.#mistakes.add(root.place, 'pools', 'is missing, allowed: pools by name inside "pools:"');
    }
    return { global: global ?? this.#readScope('global', null), pools: pools ?? [] };
  }

  #refuseRootKey({ key, place, value }: WrittenEntry): void {
    if (isPoolBody(value)) {
      this.#mistakes.add(place, key, 'is a pool outside of "pools:", allowed: inside of it');
      return;
    }
    const hint = didYouMean(key, ['global', 'pools']);
    this.#mistakes.add(place, key, `is unknown${hint}, allowed: "global:" and "pools:"`);
  }

  #readPoolsEntry(entry: WrittenEntry): PoolDraft[] {
    if (entry.value.kind === 'broken') return [];
    const body = this.#bodyOf(entry);
    if (body?.entries.length === 0 && body.isWhole) {
      this.#mistakes.add(entry.place, 'pools', 'has no pools, allowed: at least one');
    }
    return this.#readPools(body?.entries ?? []);
  }

  #readPools(entries: readonly WrittenEntry[]): PoolDraft[] {
    const pools: PoolDraft[] = [];
    for (const entry of entries) {
      const pool = this.#readPool(entry);
      if (pool !== null) pools.push(pool);
    }
    return pools;
  }

  #readPool(entry: WrittenEntry): PoolDraft | null {
    const { key, place, value } = entry;
    if (key === '' || Buffer.byteLength(key) > NAME_MAX_BYTES) {
      const allowed = `allowed: 1 to ${NAME_MAX_BYTES} bytes`;
      this.#mistakes.add(place, quoted(key), `is not a pool name, ${allowed}`);
      return null;
    }
    if (value.kind !== 'map' && findDirective('pool', key) !== undefined) {
      this.#mistakes.add(place, key, 'stands outside of any pool, allowed: inside of one');
      return null;
    }
    if (value.kind === 'scalar' && value.isAbsent) {
      this.#mistakes.add(place, key, 'is a pool without directives, allowed: "listen", "redis", ' +
        '"servers" and more, each indented');
      return null;
    }
    const body = this.#bodyOf(entry);
    if (body === null) return null;
    const servers = new Map<ServerSettings, WrittenScalar>();
    return { name: key, place, servers, ...this.#readScope('pool', body, key, place, servers) };
  }

  /** The mapping behind a key, an empty one when nothing is there, null when there is no such. */
  #bodyOf({ key, place, value }: WrittenEntry): WrittenMap | null {
    if (value.kind === 'map') return value;
    if (value.kind === 'broken') return null;
    if (value.kind === 'scalar' && value.isAbsent) {
      return { kind: 'map', place, isFlow: false, isWhole: true, entries: [] };
    }
    const what = value.kind === 'list' ? 'a list' : 'one value';
    this.#mistakes.add(value.place, key, `is ${what}, allowed: indented "directive: value" lines`);
    return null;
  }

  /** Fills in every directive of a scope. `body` null: nothing is written. */
  #readScope(
    scope: Scope, body: WrittenMap | null, pool = '', place = BEGIN,
    servers = new Map<ServerSettings, WrittenScalar>(),
  ): ScopeDraft {
    const lines: Lines = {};
    const written = new Map<string, WrittenEntry>();
    const values: { [field: string]: unknown } = {};
    for (const entry of body?.entries ?? []) {
      const directive = findDirective(scope, entry.key);
      if (directive === undefined) {
        this.#refuseKey(scope, entry);
        continue;
      }
      lines[entry.key] = entry.place.line;
      written.set(entry.key, entry);
      const value = this.#readValue(directive, entry, servers);
      if (value !== undefined) values[directive.field] = value;
    }
    for (const directive of directivesOf(scope)) {
      if (directive.fallback !== REQUIRED) values[directive.field] ??= directive.fallback;
      else if (!written.has(directive.name)) this.#addMissing(directive, pool, place);
    }
    return { values: values as ScopeDraft['values'], lines, written };
  }

  #addMissing({ name, type }: AnyDirective, pool: string, place: Place): void {
    const many = type.kind === 'list' ? 'a list of ' : '';
    this.#mistakes.add(place, name,
      `is missing in pool ${quoted(pool)}, allowed: ${many}${allowedBy(type)}`);
  }

  #refuseKey(scope: Scope, { key, place }: WrittenEntry): void {
    const other: Scope = scope === 'global' ? 'pool' : 'global';
    if (findDirective(other, key) !== undefined) {
      const home = other === 'global' ? 'inside of "global:", beside "pools:"' : 'inside of a pool';
      this.#mistakes.add(place, key, `is a ${other} directive, allowed: ${home}`);
      return;
    }
    const hint = didYouMean(key, directivesOf(scope).map(({ name }) => name));
    this.#mistakes.add(place, key, `is unknown${hint}, allowed: the ${scope} directives of ` +
      'conf/reference.yml');
  }

  #readValue(
    directive: AnyDirective, { value }: WrittenEntry, servers: Map<ServerSettings, WrittenScalar>,
  ): unknown {
    const { name, type } = directive;
    if (value.kind === 'broken') return undefined;
    if (type.kind === 'list') {
      if (value.kind === 'list' && value.items.length > 0) {
        return this.#readServers(name, type as ListType<ServerSettings>, value, servers);
      }
      const isEmpty = value.kind === 'list' || (value.kind === 'scalar' && value.isAbsent);
      const what = isEmpty ? 'is empty' : value.kind === 'map' ? 'is a mapping' : 'is one value';
      this.#mistakes.add(value.place, name, `${what}, allowed: a list of ${allowedBy(type)}`);
      return undefined;
    }
    if (value.kind === 'scalar') return this.#readScalar(name, type, value);
    const shape = value.kind === 'list' ? 'a list' : 'a mapping';
    const hint = value.isFlow ? ', in quotes if it begins with [ or {' : '';
    this.#mistakes.add(value.place, name, `is ${shape}, allowed: ${allowedBy(type)}${hint}`);
    return undefined;
  }

  #readScalar(name: string, type: ScalarType<unknown>, value: WrittenScalar): unknown {
    if (value.text === '' && type.mayBeEmpty !== true) {
      this.#mistakes.add(value.place, name, `has no value, allowed: ${allowedBy(type)}`);
      return undefined;
    }
    if (value.isAbsent) {
      this.#warnings.add(value.place, name,
        'has no value and so is not set, allowed: "" to say so');
    }
    const parsed = type.parse(value.text);
    if (!(parsed instanceof Wrong)) return parsed;
    this.#mistakes.add(value.placeOf(parsed.index), name,
      `${parsed.reason}, allowed: ${allowedBy(type)}`);
    return undefined;
  }

  #readServers(
    name: string, type: ListType<ServerSettings>, list: WrittenList,
    places: Map<ServerSettings, WrittenScalar>,
  ): ServerSettings[] {
    const servers: ServerSettings[] = [];
    for (const item of list.items) {
      if (item.kind === 'broken') continue;
      if (item.kind !== 'scalar') {
        const shape = item.kind === 'list' ? 'a list' : 'a mapping';
        this.#mistakes.add(item.place, name,
          `${shape} is no server, allowed: ${allowedBy(type)}`);
        continue;
      }
      const server = type.parseItem(item.text, item.place.line);
      if (server instanceof Wrong) {
        this.#mistakes.add(item.placeOf(server.index), name,
          `${server.reason}, allowed: ${allowedBy(type)}`);
        continue;
      }
      places.set(server, item);
      servers.push(server);
    }
    return servers;
  }
}

/** Does this look like a pool rather than like a mapping of pools, or like the global scope? */
function isPoolBody(value: Written): boolean {
  return value.kind === 'map' && value.entries.some((entry) =>
    (entry.key === 'listen' && entry.value.kind === 'scalar') ||
    (entry.key === 'servers' && entry.value.kind === 'list'));
}
