/**
 * What lanes tell each other, as operations: of the program of a request here, or of the descriptor
 * that a message becomes in the lane that receives it. So it belongs to turns on both sides, and is
 * done once, whoever dies in between (docs/adr/0024).
 */
import { MessageKind, Operation } from '../shm/codes.js';
import type { ClientFacts } from './local-answer.js';
import type { Program } from './program.js';

/** Words that one kill needs in a program. */
export const KILL_WORDS = 5;

/** A session of this lane is closed with this turn; another lane is told. */
export function writeKill(program: Program, ownLane: number, client: ClientFacts): void {
  const { lane, row, generation } = client;
  if (lane === ownLane) program.word(Operation.Kill);
  else program.word(Operation.Send).word(lane).word(MessageKind.Kill);
  program.word(row).word(generation);
}

/**
 * The plan for a message: descriptor `index` of the turn. 0: nothing is to be done. Anew means that
 * all under way between the two lanes is over; so far nothing is, for longer than a message.
 */
export function planOfMessage(
  program: Program, index: number, kind: MessageKind, row: number, value: number,
): number {
  if (kind !== MessageKind.Kill) return 0;
  return program.begin(index, KILL_WORDS, 0).word(Operation.Kill).word(row).word(value).end();
}
