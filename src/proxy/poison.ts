/**
 * A request that workers died of, as the log may show it: what it was, how large, and a few bytes
 * of its key, which is enough to find it and too little to leak what is in it. What its parser or
 * its command did wrong nobody knows, so its bytes are read here by themselves, the first few only.
 *
 *   GET with 2 arguments, 31 bytes, key "user:102"…
 */
import { native } from '../native/binding.js';
import { Plan } from '../protocol/command.js';
import { commands, firstKeyOf, planOf } from '../protocol/command-table.js';
import { Descriptor } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';

/** What its client gets. */
export const POISONED = 'ERR the proxy has failed at this request twice and does not try it again';

const HEAD_BYTES = 256;
const KEY_BYTES = 8;
const ARGUMENTS = 4; // that are looked at

export function headOf(view: LaneView, at: number): string {
  const word = (column: Descriptor): number => view.words[at + column]!;
  const bytes = word(Descriptor.Bytes);
  const offset = word(Descriptor.Offset);
  const most = Math.min(bytes, HEAD_BYTES);
  const head = offset < 0 ? native.sessionRead(word(Descriptor.Row), 0, most)
    : view.bytes.subarray(view.arena + offset, view.arena + offset + most);
  return describe(head, bytes);
}

/** `head`: the first bytes of a request of `bytes` bytes. */
export function describe(head: Buffer, bytes: number): string {
  const { count, words } = read(head);
  const id = commands.findIndex(({ name }) => name === words[0]?.toLowerCase());
  if (id < 0) return `an unknown command, ${count} arguments, ${bytes} bytes`;
  const facts = `${words[0]!.toUpperCase()} with ${count} arguments, ${bytes} bytes`;
  const plan = planOf[id] as Plan;
  const hasKey = plan === Plan.Plain || plan === Plan.Split || plan === Plan.Keys;
  const key = hasKey ? words[firstKeyOf[id]!] : undefined;
  if (key === undefined || firstKeyOf[id] === 0) return facts;
  const cut = key.length > KEY_BYTES ? '…' : '';
  return `${facts}, key ${JSON.stringify(key.slice(0, KEY_BYTES))}${cut}`;
}

/** As much of a multibulk as can be made out. */
function read(head: Buffer): { readonly count: number; readonly words: readonly string[] } {
  const text = head.toString('latin1');
  const count = Number(/^\*(\d{1,7})\r\n/.exec(text)?.[1] ?? 0);
  const words: string[] = [];
  let at = text.indexOf('\n') + 1;
  while (words.length < Math.min(count, ARGUMENTS)) {
    const size = /^\$(\d{1,9})\r\n/.exec(text.slice(at, at + 16));
    if (size === null) break;
    at += size[0].length;
    words.push(text.slice(at, at + Number(size[1])));
    at += Number(size[1]) + 2;
  }
  return { count, words };
}
