/**
 * native/hash.h against twemproxy's values and against independent definitions of the algorithms.
 *
 * Compiled with -funsigned-char, although the values are those of a machine with signed characters:
 * nothing may depend on what `char` is. Undefined behaviour and reads outside the key end the
 * program with an error.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { HASH_NAMES, HashKind, hashKindOf } from '../../../src/routing/hash-kinds.js';
import { HashProgram, repositoryRoot } from './hash-program.js';
import { Seeded } from './seeded.js';

interface Vectors {
  readonly names: readonly string[];
  readonly keys: readonly { key: string; hex: string; hashes: readonly number[] }[];
}

const vectors = JSON.parse(
  readFileSync(join(repositoryRoot, 'test/unit/routing/hash-vectors.json'), 'utf8'),
) as Vectors;

const program = new HashProgram([
  '-O1', '-g', '-funsigned-char', '-fsanitize=undefined,address', '-fno-sanitize-recover=all',
]);
t.teardown(() => program.remove());

/** Keys of all lengths around the block sizes, printable and not. */
const random = new Seeded(t);
const keys = Array.from({ length: 600 }, (_, i) => random.bytes(i % 200));

t.test('names and numbers agree', async (t) => {
  t.same(HASH_NAMES, vectors.names);
  HASH_NAMES.forEach((name, kind) => t.equal(hashKindOf(name), kind));
  t.equal(hashKindOf('fnv1a_64'), HashKind.Fnv1ax64);
  t.equal(hashKindOf('jenkins'), HashKind.Jenkins);
  t.equal(hashKindOf('FNV1A_64'), undefined);
});

t.test('every hash of every known key', async (t) => {
  const answers = program.hash(vectors.keys.map(({ hex }) => Buffer.from(hex, 'hex')));
  t.equal(answers.length, 17);
  vectors.keys.forEach(({ key, hashes }, i) => t.same(answers[i]!.hashes, hashes, key));
});

t.test('an empty key is routed by 0, whatever the hash', async (t) => {
  const [empty, full] = program.hash([Buffer.alloc(0), Buffer.from('apple')]);
  t.same(empty!.routed, new Array(12).fill(0));
  t.same(full!.routed, full!.hashes);
});

t.test('md5 of all lengths is that of node:crypto', async (t) => {
  const expected = keys.map((key) => createHash('md5').update(key).digest().readUInt32LE(0));
  t.same(program.hash(keys).map(({ hashes }) => hashes[HashKind.Md5]), expected);
});

t.test('the FNVs of all lengths are those of 64-bit signed arithmetic', async (t) => {
  const mask = (1n << 64n) - 1n;
  const fnv = (key: Buffer, offset: bigint, prime: bigint, xorFirst: boolean): number => {
    let h = offset;
    for (const byte of new Int8Array(key)) {
      const b = BigInt(byte) & mask;
      h = xorFirst ? ((h ^ b) * prime) & mask : ((h * prime) & mask) ^ b;
    }
    return Number(h & 0xffffffffn);
  };
  const wide = [0xcbf29ce484222325n, 0x100000001b3n] as const;
  const narrow = [0x811c9dc5n, 0x01000193n] as const;
  t.same(
    program.hash(keys).map(({ hashes }) => hashes.slice(HashKind.Fnv1x64, HashKind.Fnv1ax32 + 1)),
    keys.map((key) => [
      fnv(key, ...wide, false), fnv(key, ...wide, true),
      fnv(key, ...narrow, false), fnv(key, ...narrow, true),
    ]),
  );
});

t.test('the CRCs of all lengths, a bit at a time', async (t) => {
  const crc32 = (key: Buffer): number => {
    let r = 0xffffffff;
    for (const byte of key) {
      r ^= byte;
      for (let bit = 0; bit < 8; bit++) r = r & 1 ? (r >>> 1) ^ 0xedb88320 : r >>> 1;
    }
    return ~r >>> 0;
  };
  const crc16 = (key: Buffer): number => {
    let r = 0;
    for (const byte of key) {
      r ^= byte << 8;
      for (let bit = 0; bit < 8; bit++) r = (r & 0x8000 ? (r << 1) ^ 0x1021 : r << 1) & 0xffff;
    }
    return r;
  };
  const answers = program.hash(keys).map(({ hashes }) => hashes);
  const whole = keys.map(crc32);
  t.same(answers.map((h) => h[HashKind.Crc32a]), whole);
  t.same(answers.map((h) => h[HashKind.Crc32]), whole.map((crc) => (crc >>> 16) & 0x7fff));
  t.same(answers.map((h) => h[HashKind.Crc16]! & 0xffff), keys.map(crc16));
});

t.test('tags', async (t) => {
  const cases: [tag: string, key: string, part: string][] = [
    ['', 'a{b}c', 'a{b}c'],
    ['{}', 'a{b}c', 'b'],
    ['{}', '{b}', 'b'],
    ['{}', 'a{}c', 'a{}c'], // nothing between: the whole key
    ['{}', 'a{}{b}', 'a{}{b}'], // only the first opening counts
    ['{}', 'a}b{c}d', 'c'], // a closing before the opening does not
    ['{}', 'a{{b}}c', '{b'],
    ['{}', 'a{bc', 'a{bc'],
    ['{}', 'abc}', 'abc}'],
    ['{}', 'abc{', 'abc{'],
    ['{}', '', ''],
    ['$$', 'a$b$c', 'b'],
    ['$$', 'a$$c', 'a$$c'],
    ['$$', 'a$bc', 'a$bc'],
    ['\xe4\xad', '\xe4\xb8\xad', '\xb8'], // bytes, not characters
    ['{}', 'a{\0\r\n}c', '\0\r\n'],
  ];
  for (const [tag, key, part] of cases) {
    const [tagged] = program.hash([Buffer.from(key, 'latin1')], tag);
    const [whole] = program.hash([Buffer.from(part, 'latin1')]);
    t.equal(tagged!.partSize, part.length, JSON.stringify([tag, key]));
    t.same(tagged!.routed, whole!.routed, JSON.stringify([tag, key]));
  }
});
