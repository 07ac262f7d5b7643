/**
 * USR2, as the old master sees it. The new one does what it is told; who has which lanes is decided
 * here, until it is in charge.
 *
 *             ready            canary well         all lanes             window's end, WINCH
 *   Preparing ──────► Canary ─────────────► Taking ─────────► Window ─────────────────────► Committed
 *       │               │                     │                  │ HUP                   QUIT, or the
 *       │ fails, dies,  └──────────┬──────────┘                  │                       window's end:
 *       │ HUP                      ▼                             ▼                       this one ends
 *       │                       Recalling ◄──────────────────────┘
 *       │                          │ the new master has let go, or is dead
 *       │                          ▼          all lanes are ours
 *       └────► Parting ◄──────── Returning ──┐
 *                 │                          └─(HUP)─► Returned ── QUIT to it, or the window's end
 *                 │ the new master has ended                            │
 *                 ▼                                                     ▼
 *               Over                                                 Parting
 */
import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { systemReason } from '../base/errors.js';
import { VERSION } from '../base/version.js';
import { Channel, type ToPredecessor, type ToSuccessor } from './channel.js';
import type { Crew } from './crew.js';
import type { Office } from './office.js';
import { Patience } from './patience.js';
import { startSuccessor } from './successor-start.js';
import { Undertaker } from './undertaker.js';

export const enum UpgradeStage {
  Preparing, Canary, Taking, Window, Committed, Recalling, Returning, Returned, Parting, Over,
}

/** The lane that the new program gets first. */
export const CANARY_LANE = 0;

const START_PATIENCE_MS = 180_000; // with a low priority, perhaps on a busy machine
const TAKE_PATIENCE_MS = 60_000;
const YIELD_PATIENCE_MS = 8000;
const PART_PATIENCE_MS = 10_000;
const BURIAL_EVERY_MS = 20;

export class Upgrade {
  readonly #child: ChildProcess;
  readonly #channel: Channel<ToSuccessor, ToPredecessor>;
  readonly #undertaker: Undertaker;
  readonly #patience: Patience;
  #stage = UpgradeStage.Preparing;
  #burial: NodeJS.Timeout | null = null;
  #version = ''; // of the new program
  #generation = 0; // of its configuration
  #canaryMs = 0; // for which it watches its first lane
  #noWayBack = ''; // why a lane that it had cannot be taken back
  #said = new Set<ToPredecessor['is']>();
  #why: string | null = null; // why it cannot be
  #ended: string | null = null; // how the new master ended
  #isAsked = false; // the roll back was
  #isLeft = false; // the new master was in charge: its operator ends it

  /** Throws what renaming or starting a process throws; then nothing has changed. */
  constructor(private readonly office: Office, private readonly crew: Crew) {
    const { house, log } = office;
    const windowMs = crew.generation.roster.settings.global.upgradeWindowMs;
    this.#undertaker = new Undertaker(house.instance, log, office.changed);
    this.#patience = new Patience(office.changed);
    house.pidFile?.setAside();
    log.info({ event: 'upgrading', version: VERSION, windowMs },
      'starting the program that is on disk now; the sessions stay');
    let start: ReturnType<typeof startSuccessor>;
    try {
      start = startSuccessor(office);
    } catch (error) {
      house.pidFile?.comeBack();
      throw error;
    }
    this.#child = start.child;
    this.#channel = new Channel(start.stream as Duplex,
      (message) => this.#hear(message), () => office.changed());
    this.#child.stderr?.on('data', (text: Buffer) => {
      log.error({ event: 'upgrade_output', masterPid: this.pid }, text.toString().trimEnd());
    });
    this.#child.once('error', (error) => this.#lose(systemReason(error)));
    this.#child.once('exit', (code, signal) => this.#lose(signal ?? `exit code ${code}`));
    this.#enter(UpgradeStage.Preparing, START_PATIENCE_MS);
  }

  get stage(): UpgradeStage {
    return this.#stage;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The new master serves all lanes, and this one only stays for a roll back. */
  get isDone(): boolean {
    return this.#stage === UpgradeStage.Window || this.#stage === UpgradeStage.Committed;
  }

  get hasSuccessorEnded(): boolean {
    return this.#ended !== null;
  }

  /** Somebody told the new master to stop. */
  get isSuccessorStopping(): boolean {
    return this.#said.has('stopping');
  }

  /** Goes as far as it can now. Called in each cycle of the master's loop. */
  continue(): void {
    switch (this.#stage) {
      case UpgradeStage.Preparing: return this.#prepare();
      case UpgradeStage.Canary: return this.#watchCanary();
      case UpgradeStage.Taking: return this.#giveAll();
      case UpgradeStage.Window: return this.#waitInWindow();
      case UpgradeStage.Recalling: return this.#recall();
      case UpgradeStage.Returning: return this.#return();
      case UpgradeStage.Returned: return this.#waitForOperator();
      case UpgradeStage.Parting: return this.#part();
      default:
    }
  }

  /** HUP: the old workers take every lane back that they gave; or it is said why not. */
  rollBack(): void {
    const hasGiven = this.#stage !== UpgradeStage.Preparing;
    if (this.#stage === UpgradeStage.Committed) {
      this.#refuse('the upgrade is committed, the old workers have ended');
    } else if (this.#stage > UpgradeStage.Committed) {
      this.#refuse('the sessions are taken back already; end the new master first');
    } else if (hasGiven && this.#noWayBack !== '') {
      this.#refuse(`there is no roll back to version ${VERSION}: ${this.#noWayBack}`);
    } else {
      this.#isAsked = true;
      this.#isLeft = this.#stage === UpgradeStage.Window;
      this.#fail('HUP');
    }
  }

  #refuse(why: string): void {
    this.office.log.error({ event: 'reload_refused', masterPid: this.pid },
      `HUP: ${why} (the new master has pid ${this.pid})`);
  }

  /** Nobody will take the lanes back: the old workers end. The new master must be in charge. */
  commit(why: string): void {
    if (this.#stage !== UpgradeStage.Window) return;
    this.#stage = UpgradeStage.Committed; // the window's time goes on
    this.#channel.say({ do: 'commit' });
    this.crew.dismiss();
    this.office.house.listeners.release(); // addresses that only this master knew refuse from now on
    this.office.log.info({ event: 'committed', masterPid: this.pid, version: this.#version, why },
      `the upgrade is committed (${why}): version ${this.#version} serves, ` +
      'the old workers end');
  }

  /** Whether the time is over for which a committed upgrade keeps this master. */
  get isWindowOver(): boolean {
    return this.#stage === UpgradeStage.Committed && this.#patience.isOver;
  }

  /** Baton as a whole stops. */
  stop(signal: NodeJS.Signals): void {
    this.#patience.begin(null);
    this.#channel.say({ do: 'stop' });
    if (this.#ended === null) this.#child.kill(signal);
  }

  /** This master ends, the new one goes on. */
  leave(): void {
    this.#patience.begin(null);
    this.#channel.close();
    this.#child.unref();
  }

  // --- forwards ---

  #prepare(): void {
    if (this.#why !== null || this.#ended !== null) return this.#fail(null);
    if (this.#patience.isOver) return this.#fail('the new master does not get ready');
    if (!this.#said.has('ready')) return;
    this.office.log.info({ event: 'upgrade_canary', masterPid: this.pid, lane: CANARY_LANE },
      `version ${this.#version} takes lane ${CANARY_LANE} and is watched there`);
    this.#watchBoth();
    this.crew.standBy([CANARY_LANE]);
    this.#channel.say({ do: 'take', what: 'canary' });
    this.#enter(UpgradeStage.Canary, this.#canaryMs + TAKE_PATIENCE_MS);
  }

  #watchCanary(): void {
    if (this.#why !== null || this.#ended !== null) return this.#fail(null);
    if (this.#patience.isOver) return this.#fail('the new master says nothing of its first lane');
    if (!this.#said.has('canary')) return;
    this.crew.standBy();
    this.#channel.say({ do: 'take', what: 'all' });
    this.#enter(UpgradeStage.Taking, TAKE_PATIENCE_MS);
  }

  #giveAll(): void {
    if (this.#why !== null || this.#ended !== null) return this.#fail(null);
    if (this.#patience.isOver) return this.#fail('the new workers cannot take the lanes over');
    if (!this.#said.has('serving')) return;
    this.office.resign();
    this.#channel.say({ do: 'lead' });
    const { upgradeWindowMs } = this.crew.generation.roster.settings.global;
    this.#enter(UpgradeStage.Window, upgradeWindowMs);
    this.office.log.info(
      { event: 'upgraded', masterPid: this.pid, version: this.#version, windowMs: upgradeWindowMs },
      `version ${this.#version} (pid ${this.pid}) serves; for ${upgradeWindowMs} ms HUP to ` +
      `pid ${process.pid} takes the sessions back, QUIT or WINCH commits`);
  }

  #waitInWindow(): void {
    if (this.#ended !== null && !this.isSuccessorStopping) return this.#fail(null);
    if (!this.#patience.isOver) return;
    this.commit("the window's end");
    this.office.changed();
  }

  // --- backwards ---

  /** `why` null: the new master has said it, or its end says it. */
  #fail(why: string | null): void {
    const { log } = this.office;
    const reason = why ?? this.#why ?? `the new master ended: ${this.#ended}`;
    const hasGiven = this.#stage !== UpgradeStage.Preparing;
    if (this.#isAsked) {
      log.info({ event: 'rolling_back', masterPid: this.pid }, `taking the sessions back: ${reason}`);
    } else {
      log.error({ event: 'upgrade_failed', masterPid: this.pid, why: reason },
        `the upgrade failed, version ${VERSION} goes on: ${reason}`);
    }
    if (!hasGiven) return this.#endSuccessor();
    this.#said.delete('yielded');
    this.#channel.say({ do: 'yield' });
    this.#enter(UpgradeStage.Recalling, YIELD_PATIENCE_MS);
  }

  #recall(): void {
    if (this.#patience.isOver) this.#child.kill('SIGKILL');
    const isDead = this.#ended !== null;
    if (!isDead && !this.#said.has('yielded')) return;
    this.#enter(UpgradeStage.Returning, null);
    this.office.hold(this.crew.generation);
    this.crew.serve(this.crew.lanes, !isDead);
  }

  #return(): void {
    if (!this.#buryDead() || !this.crew.isServing) return;
    this.office.announce();
    this.office.log.info({ event: 'rolled_back', masterPid: this.pid, workers: this.crew.pids },
      `version ${VERSION} serves all lanes again`);
    this.#channel.say({ do: 'returned' });
    if (!this.#isLeft) return this.#endSuccessor();
    const { upgradeWindowMs } = this.crew.generation.roster.settings.global;
    this.#enter(UpgradeStage.Returned, upgradeWindowMs);
  }

  #waitForOperator(): void {
    if (this.#patience.isOver || this.#ended !== null) this.#endSuccessor();
  }

  #endSuccessor(): void {
    this.#channel.say({ do: 'end' });
    this.#enter(UpgradeStage.Parting, PART_PATIENCE_MS);
  }

  #part(): void {
    if (this.#patience.isOver) this.#child.kill('SIGKILL');
    if (this.#ended === null || !this.#buryDead()) return;
    const { house, ejection, log } = this.office;
    this.#enter(UpgradeStage.Over, null);
    this.#channel.close();
    ejection.watch([this.crew.generation]);
    house.listeners.drop((id) => house.instance.isWatched(id));
    try {
      house.pidFile?.comeBack();
    } catch (error) {
      log.error({ event: 'pid_file' }, systemReason(error));
    }
    log.info({ event: 'upgrade_over', masterPid: this.pid, how: this.#ended },
      `the new master has ended (${this.#ended}), the pid file is back`);
  }

  // --- tools ---

  #hear(message: ToPredecessor): void {
    this.#said.add(message.is);
    const { log } = this.office;
    if (message.is === 'stopping') this.#answerStop();
    if (message.is === 'checked') this.#check(message);
    if (message.is === 'failed') this.#why ??= message.why;
    if (message.is === 'refused') {
      for (const line of message.why) log.error({ event: 'upgrade_mistake' }, line);
      this.#why ??= message.why.join('; ');
    }
    if (message.is === 'canary') {
      this.#tellCanary(message);
    }
    this.office.changed();
  }

  #tellCanary({ summary, isWell = true }: ToPredecessor & { is: 'canary' }): void {
    const { log } = this.office;
    const facts = { masterPid: this.pid, lane: CANARY_LANE, summary };
    if (isWell) {
      log.info({ event: 'upgrade_canary_well', ...facts },
        `version ${this.#version} does well: ${summary}`);
    } else {
      log.error({ event: 'upgrade_canary_bad', ...facts }, `version ${this.#version} does badly, ` +
        `but there is no way back (${this.#noWayBack}), so it goes on: ${summary}`);
    }
  }

  /** The new master asks before it stops: Baton as a whole, or itself, after a roll back? */
  #answerStop(): void {
    // A HUP that came before is looked at in this turn of the loop; the answer waits for that.
    setImmediate(() => setImmediate(() => {
      if (this.isDone) this.#channel.say({ do: 'commit' });
    }));
  }

  #check({ version, generation, canaryMs, noWayBack = '' }: ToPredecessor & { is: 'checked' }): void {
    this.#version = version;
    this.#generation = generation;
    this.#canaryMs = canaryMs;
    this.#noWayBack = noWayBack;
    this.office.log.info({ event: 'upgrade_checked', masterPid: this.pid, version },
      `version ${version} (pid ${this.pid}) has checked itself and starts its workers`);
  }

  /** While two generations of rows are in use, servers are ejected in both. */
  #watchBoth(): void {
    const { ejection, house } = this.office;
    const theirs = house.instance.read(this.#generation);
    ejection.watch([this.crew.generation, ...(theirs === null ? [] : [theirs])]);
  }

  #lose(how: string): void {
    if (this.#ended !== null) return;
    this.#ended = how;
    this.office.changed();
  }

  /** False while processes of a dead master's are still there. */
  #buryDead(): boolean {
    if (this.#ended === null || this.#undertaker.bury(new Set([this.pid]))) return true;
    this.#burial ??= setTimeout(() => {
      this.#burial = null;
      this.office.changed();
    }, BURIAL_EVERY_MS);
    return false;
  }

  #enter(stage: UpgradeStage, patienceMs: number | null): void {
    this.#stage = stage;
    this.#patience.begin(patienceMs);
    this.office.changed();
  }
}
