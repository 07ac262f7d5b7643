/**
 * What an old and a new master say to each other: one JSON object a line, over a socket pair. They
 * may be of different versions, so what one does not know it does not hear.
 *
 *   old ──► new   take canary | take all | lead | commit | yield | returned | end | stop
 *   new ──► old   refused | checked | ready | canary | serving | yielded | failed | stopping
 *
 * The end of the stream is the death of the other: neither closes it while it lives.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export type ToSuccessor =
  | { do: 'take'; what: 'canary' | 'all' }
  | { do: 'lead' } // every lane is yours: eject, answer operators, be the instance's master
  | { do: 'commit' } // nobody will take the lanes back
  | { do: 'yield' } // let go of the lanes, the old workers take them back
  | { do: 'returned' } // they have; end your workers
  | { do: 'end' } // this one serves (again)
  | { do: 'stop' }; // Baton as a whole stops: obey signals

export type ToPredecessor =
  | { is: 'refused'; why: readonly string[] } // the check failed; it ends
  | {
    is: 'checked';
    version: string;
    generation: number;
    canaryMs: number; // for which it watches its first lane
    noWayBack?: string; // why a lane that it had cannot be taken back
  }
  | { is: 'ready' } // its workers are warm
  | { is: 'canary'; summary: string; isWell?: boolean } // false: badly, but there is no way back
  | { is: 'serving' } // every lane
  | { is: 'yielded' }
  | { is: 'failed'; why: string }
  | { is: 'stopping' }; // somebody told it to stop; it waits for commit, yield or the end

export class Channel<Out extends object, In extends object> {
  #rest = '';
  #isOpen = true;

  /** `onEnd` is called once, when the other has died or closed its end. */
  constructor(
    private readonly stream: Duplex, onMessage: (message: In) => void, onEnd: () => void,
  ) {
    stream.on('data', (bytes: Buffer) => {
      const lines = (this.#rest + bytes.toString()).split('\n');
      this.#rest = lines.pop()!;
      for (const line of lines) onMessage(JSON.parse(line) as In);
    });
    const end = (): void => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      onEnd();
    };
    stream.on('error', end);
    stream.on('close', end);
    stream.on('end', end);
  }

  /** Over a descriptor that this process was given. */
  static over<Out extends object, In extends object>(
    fd: number, onMessage: (message: In) => void, onEnd: () => void,
  ): Channel<Out, In> {
    return new Channel<Out, In>(new Socket({ fd }), onMessage, onEnd);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  say(message: Out): void {
    if (this.#isOpen) this.stream.write(`${JSON.stringify(message)}\n`);
  }

  close(): void {
    this.#isOpen = false;
    this.stream.destroy();
  }
}
