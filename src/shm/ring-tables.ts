/**
 * Tables of what lanes say to each other (docs/adr/0024): part of the layout, see layout.ts.
 *
 *   lane a's extent                                          lane b's extent
 *   ring[b].queued ─commit─► port[b].tail ──── read by b     ring[a].taken ─commit─► port[a].head
 *   message[b * RING_SLOTS …]  the slots, written by a       bell   set by a, cleared by b
 *   ring[b].stream             payloads, in a's own units     ring[a].read ─commit─► port[a].read
 */
import { chain, table } from './schema.js';

/** Messages that one ring holds; a power of two. Sixteen pages, backed with the first message. */
export const RING_SLOTS = 2048;

export const ring = table('ring', 'lane', 128, 'What the lane has sent to another and taken from it, as of the last commit. Row = the other lane; row `lanes`: the master.', [
  ['imaged', 'i32', 'turn that keeps this row\'s before-image'],
  ...chain('overflow'),
  ['anew', 'i32', '1: the next message to the other must be MessageKind.Anew'],
  ['queued', 'u64', 'messages ever written into the ring to the other'],
  ['taken', 'u64', 'messages ever taken out of the ring from the other'],
  ...chain('stream'),
  ['released', 'u64', 'stream offset of the first byte in the stream to the other'],
  ['read', 'u64', 'stream offset up to which the other\'s stream has been read'],
]);

export const port = table('port', 'lane', 256, 'The lane\'s side of its rings as the others see it. Rows as in ring; row `lanes` + 1: the master\'s side, written by him.', [
  ['tail', 'u64', 'messages to the other that it may read; follows ring.queued behind each commit'],
  ['waiting', 'i32', '1: more waits than the ring holds; the other sets 0 and rings when most of it is free'],
  ['base', 'u64', 'payloads that begin before this stream offset are gone: the lane has begun anew'],
  ['apart', 'u8', 'keeps what is read from what is written on cache lines of their own', 104],
  ['head', 'u64', 'messages from the other whose slots may be written again; follows ring.taken'],
  ['read', 'u64', 'the other may free its stream up to here; follows ring.read'],
]);

export const bell = table('bell', 'lane', 256, 'The lane\'s doorbell: written by whoever sends something to it, atomically.', [
  ['sleeping', 'i32', '1: the owner is about to sleep; who sets 0 wakes it by its eventfd'],
  ['apart', 'u8', 'keeps both on cache lines of their own', 124],
  ['rung', 'u64', 'bit n: lane n has sent something, or made room; cleared by the owner, who then looks'],
]);

export const message = table('message', 'lane', 32, 'Slots of the rings that the lane writes: RING_SLOTS for each row of port.', [
  ['kind', 'i32', 'MessageKind'],
  ['row', 'i32', 'whom or what it is about; a row of the receiver\'s'],
  ['value', 'i32', 'as the kind says'],
  ['bytes', 'i32', 'of its payload, 0 = it has none'],
  ['node', 'i32', 'where the payload begins, in the sender\'s stream'],
  ['at', 'i32', '… within that node; it goes on in the next one when the node is full'],
  ['ends', 'u64', 'offset of the sender\'s stream behind the payload'],
]);
