/**
 * A few hundred commands of all families, as lines of words: what the compat test plays.
 *
 *   - every line names keys of one server: single keys, or several with the tag {t}
 *   - lines run in order on one connection; later ones see what earlier ones wrote
 *   - replies must not depend on time or chance; TIMED lines are compared by their form only
 *   - a word in quotes may hold blanks and the escapes of a JSON string
 */
import { GEO_AND_STREAMS, HASHES, LISTS, SETS, SORTED_SETS } from './collections.js';

const KEYS_AND_STRINGS = `
SET s hello
GET s
GET none
SET s again XX
SET s no NX
SET s new GET
SET s x EX 100
SET s x PX 100000 KEEPTTL
SET s x BAD
SET s x EX 0
SETNX s y
SETNX s:new y
SETEX s:ex 100 v
SETEX s:ex 0 v
PSETEX s:px 100000 v
GETSET s other
GETDEL s:new
GETEX s PERSIST
GETEX s EX abc
APPEND s ++
APPEND s:fresh start
STRLEN s
STRLEN none
GETRANGE s 0 2
GETRANGE s -2 -1
GETRANGE s 5 1
SUBSTR s 0 1
SETRANGE s 10 far
GET s
SETRANGE s -1 x
INCR n
INCR n
INCRBY n 40
DECR n
DECRBY n 2
INCRBYFLOAT n 1.5
INCRBYFLOAT n 5.0e3
INCR s
INCRBY n abc
INCR n
SET n 9223372036854775807
INCR n
SET n -9223372036854775808
DECR n
MSET {t}a 1 {t}b 2 {t}c 3
MGET {t}a {t}b {t}none {t}c
MSETNX {t}a 9 {t}d 4
MSETNX {t}e 5 {t}f 6
MSET {t}a
EXISTS {t}a {t}a {t}none
DEL {t}a {t}none {t}b
UNLINK {t}c {t}e {t}f
TOUCH {t}a s
EXISTS s
TYPE s
TYPE none
EXPIRE s 100
EXPIRE s 200 GT
EXPIRE s 50 GT
EXPIRE none 100
PEXPIRE s 100000 NX
PERSIST s
PERSIST s
TTL s
PTTL none
EXPIREAT s 33177117420
EXPIRETIME s
PEXPIRETIME s
PEXPIREAT s 33177117420000
TTL none
RENAME {t}none {t}x
SET {t}x v
RENAME {t}x {t}y
RENAMENX {t}y {t}z
COPY {t}z {t}w
COPY {t}z {t}w
COPY {t}z {t}w REPLACE
OBJECT ENCODING s
OBJECT ENCODING n
OBJECT REFCOUNT none
LCS {t}z {t}w
SET {t}l1 ohmytext
SET {t}l2 mynewtext
LCS {t}l1 {t}l2
LCS {t}l1 {t}l2 LEN
LCS {t}l1 {t}l2 IDX WITHMATCHLEN
SET "key with blanks" "value\\r\\nwith lines"
GET "key with blanks"
SET "\\u0000\\u00ff" "\\u0000"
GET "\\u0000\\u00ff"
SET "" empty
GET ""
GET
SET s
GET a b
`;

const BITS_AND_LOGS = `
SETBIT b 7 1
SETBIT b 100 1
SETBIT b 7 2
GETBIT b 7
GETBIT b 8
GETBIT none 5
BITCOUNT b
BITCOUNT b 0 0
BITCOUNT b 0 7 BIT
BITPOS b 1
BITPOS b 0 0 -1
BITPOS none 1
SET {t}b1 abc
SET {t}b2 abd
BITOP AND {t}b3 {t}b1 {t}b2
BITOP XOR {t}b3 {t}b1 {t}b2
BITOP NOT {t}b3 {t}b1
BITOP NOT {t}b3 {t}b1 {t}b2
GET {t}b3
BITFIELD bf SET u8 0 255 INCRBY u8 0 10 GET u8 0
BITFIELD bf OVERFLOW SAT INCRBY u8 0 300
BITFIELD bf OVERFLOW FAIL INCRBY u8 0 300
BITFIELD_RO bf GET u8 0
BITFIELD_RO bf SET u8 0 1
PFADD hll a b c d
PFADD hll a
PFCOUNT hll
PFADD {t}h1 a b
PFADD {t}h2 b c
PFMERGE {t}h3 {t}h1 {t}h2
PFCOUNT {t}h1 {t}h2
PFCOUNT {t}h3
PFADD s x
`;

const SCRIPTS_AND_MISTAKES = `
EVAL "return 1" 1 k
EVAL "return {1, 'two', false, {3, {4}}}" 1 k
EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 script:k v
EVAL "return redis.call('GET', KEYS[1])" 1 script:k
EVAL "return redis.error_reply('MY error')" 1 k
EVAL "return redis.status_reply('FINE')" 1 k
EVAL "return redis.call('NOSUCH')" 1 k
EVAL "broken(" 1 k
EVAL "return {KEYS, ARGV}" 2 {t}1 {t}2 a b
EVAL "return 1" -1 k
EVAL "return 1" 5 k
EVALSHA 0000000000000000000000000000000000000000 1 k
EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 k
EVAL_RO "return redis.call('GET', KEYS[1])" 1 script:k
EVAL_RO "return redis.call('SET', KEYS[1], 'x')" 1 script:k
EVALSHA_RO 0000000000000000000000000000000000000000 1 k
FCALL nosuch 1 k
FCALL_RO nosuch 1 k
RESTORE r 0 bad
RESTORE s 0 bad
DUMP none
OBJECT FREQ s
NOSUCH
NOSUCH with args
HSET
ZADD z
XADD x
LPUSH l
OBJECT
OBJECT NOSUCH k
XGROUP NOSUCH k
PING
PING text
ECHO text
SELECT 0
CLIENT GETNAME
TYPE s
`;

/** Lines whose replies hold times: numbers in them are not compared. */
const TIMED_LINES = `
OBJECT IDLETIME s
XINFO STREAM x
XINFO STREAM x FULL
XINFO CONSUMERS x group
TTL s:ex
PTTL s:ex
MEMORY USAGE s
`;

function words(line: string): string[] {
  return [...line.matchAll(/"(?:[^"\\]|\\.)*"|\S+/g)].map(([word]) =>
    word.startsWith('"') ? JSON.parse(word) as string : word);
}

function lines(text: string): string[][] {
  return text.split('\n').filter((line) => line !== '').map(words);
}

export const families: { readonly [name: string]: readonly string[][] } = {
  'keys and strings': lines(KEYS_AND_STRINGS),
  'bits and hyperloglogs': lines(BITS_AND_LOGS),
  lists: lines(LISTS),
  hashes: lines(HASHES),
  sets: lines(SETS),
  'sorted sets': lines(SORTED_SETS),
  'geo and streams': lines(GEO_AND_STREAMS),
  'scripts and mistakes': lines(SCRIPTS_AND_MISTAKES),
};

export const timed = lines(TIMED_LINES);
