/**
 * The key hashes by number and by the name that a configuration uses.
 *
 * The hashes themselves are computed where the key's bytes are, in native/hash.h, whose enum has
 * the same numbers. The numbers are stored in shared memory: append only.
 */
export const enum HashKind {
  OneAtATime = 0,
  Md5 = 1,
  Crc16 = 2,
  Crc32 = 3,
  Crc32a = 4,
  Fnv1x64 = 5,
  Fnv1ax64 = 6, // twemproxy's default
  Fnv1x32 = 7,
  Fnv1ax32 = 8,
  Hsieh = 9,
  Murmur = 10,
  Jenkins = 11,
}

/** Indexed by HashKind. */
export const HASH_NAMES: readonly string[] = [
  'one_at_a_time',
  'md5',
  'crc16',
  'crc32',
  'crc32a',
  'fnv1_64',
  'fnv1a_64',
  'fnv1_32',
  'fnv1a_32',
  'hsieh',
  'murmur',
  'jenkins',
];

/** The kind that a configuration calls `name`; undefined when there is none. */
export function hashKindOf(name: string): HashKind | undefined {
  const kind = HASH_NAMES.indexOf(name);
  return kind < 0 ? undefined : (kind as HashKind);
}
