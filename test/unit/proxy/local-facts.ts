/** A session and a proxy for the tests of local answers; changes are applied as a worker would. */
import { answerLocally } from '../../../src/proxy/local-commands.js';
import type {
  ClientFacts, Field, InfoSection, LocalAnswer, ProxyFacts, SessionFacts,
} from '../../../src/proxy/local-answer.js';

export class FakeSession {
  facts: SessionFacts;

  constructor(facts: Partial<SessionFacts> = {}) {
    const poolPassword = facts.poolPassword ?? null;
    this.facts = {
      id: 7, addr: '127.0.0.1:50000', laddr: '127.0.0.1:6380', fd: 12, isUnixSocket: false,
      name: '', libName: '', libVer: '', protocol: 2, db: 0, ageSeconds: 5, idleSeconds: 1,
      queryBytes: 0, outputBytes: 0, lastCommand: 'client|list', pool: 'alpha', lane: 0,
      row: 3, generation: 0,
      poolDb: 0, poolPassword, authenticated: poolPassword === null, ...facts,
    };
  }

  /** Sends one command and applies what it changes. */
  send(...words: (string | Uint8Array)[]): LocalAnswer {
    const args = words.map((word) => Buffer.from(word as string));
    const answer = answerLocally(args, this.facts, new FakeProxy([this.facts]));
    const { reset: _, ...changes } = answer.changes ?? {};
    this.facts = { ...this.facts, ...changes };
    return answer;
  }

  /** The reply as text. */
  ask(...words: (string | Uint8Array)[]): string {
    return this.send(...words).reply.toString('latin1');
  }
}

export class FakeProxy implements ProxyFacts {
  readonly version = '0.1.0';
  readonly #clients: readonly ClientFacts[];

  constructor(clients: readonly ClientFacts[]) {
    this.#clients = clients;
  }

  nowMicros(): number {
    return 1_795_195_974_020_467;
  }

  infoFields(section: InfoSection): readonly Field[] {
    return section === 'clients' ? [['connected_clients', 3]] : [];
  }

  configValues(): Iterable<readonly [string, string]> {
    return [['maxclients', '10000'], ['timeout', '400']];
  }

  clients(): Iterable<ClientFacts> {
    return this.#clients;
  }
}
