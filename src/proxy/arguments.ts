/**
 * The arguments of a request, for decisions that need to look at them: views into the lane's arena,
 * valid until the next turn. Those of a large request lie in chunks and are copied out one by one, up
 * to a limit: what the proxy looks at is small.
 */
import { native } from '../native/binding.js';
import { Descriptor } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';

/** A longer argument of a large request is cut here: see isCut. */
const LOOK_MAX = 1024 * 1024;

export function argumentsOf(view: LaneView, descriptor: number): Buffer[] {
  const { words } = view;
  const argc = words[descriptor + Descriptor.Argc]!;
  const offset = words[descriptor + Descriptor.Offset]!;
  const first = words[descriptor + Descriptor.Arguments]!;
  if (first < 0) return shortArguments(view, offset, argc);
  const args = new Array<Buffer>(argc);
  for (let i = 0; i < argc; i++) {
    const at = view.argument + first + 3 * i;
    const begin = words[at]!;
    const length = words[at + 1]!;
    args[i] =
      offset >= 0
        ? view.bytes.subarray(view.arena + offset + begin, view.arena + offset + begin + length)
        : native.sessionRead(
            words[descriptor + Descriptor.Row]!,
            begin,
            Math.min(length, LOOK_MAX),
          );
  }
  return args;
}

/** Whether argument `index` is longer than what argumentsOf shows of it. */
export function isCut(view: LaneView, descriptor: number, index: number): boolean {
  const first = view.words[descriptor + Descriptor.Arguments]!;
  return (
    view.words[descriptor + Descriptor.Offset]! < 0 &&
    view.words[view.argument + first + 3 * index + 1]! > LOOK_MAX
  );
}

/** Of a request that C++ did not list the arguments of; it is known to be a whole multibulk. */
function shortArguments(view: LaneView, offset: number, argc: number): Buffer[] {
  const { bytes } = view;
  const args: Buffer[] = [];
  let at = bytes.indexOf(0x0a, view.arena + offset) + 1;
  for (let i = 0; i < argc; i++) {
    const lineEnd = bytes.indexOf(0x0a, at);
    const length = Number(bytes.toString('latin1', at + 1, lineEnd - 1));
    args.push(bytes.subarray(lineEnd + 1, lineEnd + 1 + length));
    at = lineEnd + 1 + length + 2;
  }
  return args;
}
