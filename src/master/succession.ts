/**
 * How a master takes another one's place. USR2, as the new master sees it: it is told when to take
 * what, until it is in charge.
 *
 *         workers warm, a rest  take canary        did well       take all         all lanes
 *   Warming ─────────────► Ready ──────────► Canary ────────► Ready ───────► Taking ─────────► Serving
 *      │                                                                                         │ lead
 *      │                      (yield, at any time: the old master wants the lanes back)          ▼
 *      │                                                                                       Window
 *      ▼                  ┌── returned: the workers end                                          │ commit
 *   Failed            Yielded ── end, QUIT: the master ends                                      ▼
 *                                                                                              Over
 *
 * When the old master dies, this one goes on alone from wherever it is: what he had is taken. One
 * that adopts what a dead master has left (adoption.ts) is alone from the beginning; when its
 * workers do not start it ends, and the orphans serve on.
 */
import { VERSION } from '../base/version.js';
import { CanaryWatch } from './canary-watch.js';
import { Channel, type ToPredecessor, type ToSuccessor } from './channel.js';
import type { Crew } from './crew.js';
import type { Generation } from './generation.js';
import type { Handover } from './handover.js';
import type { ListenerChange } from './listeners.js';
import type { Office } from './office.js';
import { Patience } from './patience.js';
import { pokeKeepers } from './poke.js';
import { REST_MS } from './takeover.js';
import { Undertaker } from './undertaker.js';
import { CANARY_LANE } from './upgrade.js';

export const enum SuccessionStage {
  Warming, Resting, Ready, Canary, Taking, Serving, Window, Yielding, Yielded, Failed, Over,
}

const START_PATIENCE_MS = 120_000;
const FAILED_STARTS_MAX = 3;
const FAILED_TAKES_MAX = 5;
/** How long a stop waits for the old master's answer. */
const ANSWER_PATIENCE_MS = 10_000; // he may be busy, and a roll back may be on its way
/** How long it waits until the old master has taken the lanes back. */
const RETURN_PATIENCE_MS = 20_000;

export class Succession {
  readonly #channel: Channel<ToPredecessor, ToSuccessor> | null; // null: there was nobody to talk to
  readonly #undertaker: Undertaker;
  readonly #patience: Patience;
  #stage = SuccessionStage.Warming;
  #crew: Crew;
  #watch: CanaryWatch | null = null;
  #isAlone = false; // the old master is dead
  #mustEnd = false;
  #isStopping = false;
  #mayStop = false;
  #hasFailed = false;
  readonly #inheritedGeneration: number;
  readonly #dead = new Set<number>(); // masters that are, and whose workers are not this one's

  constructor(
    private readonly office: Office,
    private readonly handover: Handover,
    private readonly generation: Generation,
    private readonly change: ListenerChange,
  ) {
    const { instance, pidFile } = office.house;
    this.#inheritedGeneration = instance.roster.generation;
    this.#undertaker = new Undertaker(instance, office.log, office.changed);
    this.#patience = new Patience(office.changed);
    this.#channel = handover.channelFd === null ? null : Channel.over(handover.channelFd,
      (message) => this.#hear(message), () => this.#goOnAlone());
    office.ejection.watch([...new Set([instance.current, generation])]);
    this.#crew = office.crewOf(generation);
    pidFile?.write(process.pid);
    this.#channel?.say({
      is: 'checked', version: VERSION, generation: generation.roster.generation,
      canaryMs: generation.roster.settings.global.upgradeCanaryMs,
      noWayBack: this.#noWayBack,
    });
    if (this.isAdoption) {
      this.#beAlone();
      pokeKeepers(instance, office.house.gears, () =>
        this.#mustEnd || this.#stage >= SuccessionStage.Window);
    }
    this.#enter(SuccessionStage.Warming, START_PATIENCE_MS);
    this.#crew.start();
  }

  /** It has taken the lanes with the configuration that they had, not with the one of the file. */
  get isBehind(): boolean {
    return this.generation.roster.generation === this.#inheritedGeneration;
  }

  /** The master before was dead when this one started. */
  get isAdoption(): boolean {
    return this.#channel === null;
  }

  get stage(): SuccessionStage {
    return this.#stage;
  }

  get crew(): Crew {
    return this.#crew;
  }

  /** Its workers are all that there are: nobody will take the lanes back. */
  get isOver(): boolean {
    return this.#stage === SuccessionStage.Over && this.hasBuried;
  }

  /** Why the old version could not go on with a lane that this one has had; '' when it could. */
  get #noWayBack(): string {
    return this.office.house.instance.segment.verdict?.noWayBack ?? '';
  }

  /** This master has nothing to do (any more) and is to end: it failed, or gave everything back. */
  get mustEnd(): boolean {
    return this.#mustEnd;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /**
   * Somebody told this master to stop; whether it may do so now. In charge, it asks the old one
   * whether Baton as a whole is meant; before, it gives back what it has and is ended by him.
   */
  mayStop(): boolean {
    if (this.#mayStop || this.#isAlone) return true;
    if (this.#isStopping) return false;
    this.#isStopping = true;
    this.#channel?.say({ is: 'stopping' });
    const stop = (): void => {
      this.#mayStop = true;
      this.office.changed();
    };
    setTimeout(() => {
      if (this.#stage === SuccessionStage.Window) stop();
    }, ANSWER_PATIENCE_MS).unref();
    setTimeout(stop, RETURN_PATIENCE_MS).unref();
    if (this.#stage < SuccessionStage.Window) this.#fail('it was told to stop');
    return false;
  }

  /** It stops, alone: what the dead master had in charge is this one's to clear away. */
  clearAway(signal: NodeJS.Signals): void {
    if (!this.#isAlone) return;
    this.#undertaker.end(this.#dead, signal);
    if (this.office.isHeld) return;
    this.office.hold(this.generation);
    this.office.house.pidFile?.dropOld();
  }

  /** No worker is left that a dead master has started. */
  get hasBuried(): boolean {
    return this.#undertaker.bury(this.#dead);
  }

  /** Goes as far as it can now. Called in each cycle of the master's loop. */
  continue(): void {
    switch (this.#stage) {
      case SuccessionStage.Warming: return this.#warm();
      case SuccessionStage.Resting: return this.#rest();
      case SuccessionStage.Ready: return this.#isAlone ? this.#takeAll() : undefined;
      case SuccessionStage.Canary: return this.#watchCanary();
      case SuccessionStage.Taking: return this.#take();
      case SuccessionStage.Yielding: return this.#finishYield();
      default:
    }
  }

  /** The master ends: what it opened and nobody else has goes, unless it is in charge. */
  close(): void {
    this.#patience.begin(null);
    this.#watch?.stop();
    if (!this.office.isHeld) this.change.undo();
    this.#channel?.close();
  }

  // --- forwards ---

  #warm(): void {
    if (this.#crew.isReady) {
      this.#enter(SuccessionStage.Resting, REST_MS);
    } else if (this.#patience.isOver || this.#crew.failedStarts >= FAILED_STARTS_MAX) {
      this.#fail('its workers do not start');
    }
  }

  #rest(): void {
    if (!this.#patience.isOver) return;
    this.#enter(SuccessionStage.Ready, null);
    this.#channel?.say({ is: 'ready' });
  }

  #watchCanary(): void {
    if (this.#crew.failedTakes >= FAILED_TAKES_MAX) {
      return this.#fail('its worker cannot take the lane over');
    }
    if (this.#watch === null) {
      if (!this.#crew.serves(CANARY_LANE)) return;
      const { upgradeCanaryMs } = this.generation.roster.settings.global;
      this.#watch = new CanaryWatch(this.office.house.instance, this.#crew, CANARY_LANE,
        upgradeCanaryMs, this.office.changed);
    }
    const verdict = this.#watch.look();
    if (verdict === null) return;
    this.#watch.stop();
    this.#watch = null;
    if (!verdict.isWell && this.#noWayBack === '') return this.#fail(verdict.why);
    this.#enter(SuccessionStage.Ready, null);
    this.#channel?.say({ is: 'canary', summary: verdict.why, isWell: verdict.isWell });
  }

  #takeAll(): void {
    this.office.priority.restore(process.pid);
    this.#enter(SuccessionStage.Taking, null);
    // Orphans that live serve meanwhile; of a master that has just died, all may be dead.
    this.#crew.serve(this.#crew.lanes, !this.#isAlone || this.isAdoption);
  }

  #take(): void {
    if (this.#crew.isServing) {
      this.#enter(SuccessionStage.Serving, null);
      this.#channel?.say({ is: 'serving' });
      if (this.#isAlone) this.#lead();
    } else if (!this.#isAlone && this.#crew.failedTakes >= FAILED_TAKES_MAX) {
      this.#fail('its workers cannot take the lanes over');
    }
  }

  #lead(): void {
    const { log, house } = this.office;
    this.#enter(SuccessionStage.Window, null);
    this.change.finish();
    this.office.hold(this.generation);
    this.office.announce();
    log.info({ event: 'started', version: VERSION, workers: this.#crew.pids },
      `Baton ${VERSION} serves with ${this.#crew.pids.length} worker(s), ` +
      `after version ${this.handover.version}`);
    if (this.#isAlone) this.#conclude('the old master is dead');
    else if (house.pidFile !== null) house.pidFile.write(process.pid);
  }

  #tellEnd(why: string): void {
    const { log } = this.office;
    if (!this.isAdoption) {
      log.info({ event: 'committed', why },
        `the upgrade to version ${VERSION} is committed: ${why}`);
      return;
    }
    log.info({ event: 'adopted', masterPid: this.handover.masterPid, lanes: this.#crew.lanes },
      `what master ${this.handover.masterPid} had left is adopted: ` +
      `${this.#crew.lanes.length} lane(s) are served`);
  }

  /** Nobody will take the lanes back. */
  #conclude(why: string): void {
    if (this.#stage !== SuccessionStage.Window) return;
    const { house, ejection } = this.office;
    this.#stage = SuccessionStage.Over;
    this.#channel?.close();
    ejection.watch([this.generation]);
    house.listeners.drop((id) => house.instance.isWatched(id));
    if (this.#isAlone) house.pidFile?.dropOld();
    this.#tellEnd(why);
    this.office.changed();
  }

  // --- backwards ---

  #fail(why: string): void {
    this.#watch?.stop();
    this.#watch = null;
    const [event, what] = this.isAdoption ? ['adoption_failed', 'adoption'] as const
      : ['upgrade_failed', 'upgrade'] as const;
    this.office.log.error({ event, why }, `the ${what} failed: ${why}`);
    if (this.isAdoption && this.#stage < SuccessionStage.Ready) {
      this.#hasFailed = this.#mustEnd = true;
      return;
    }
    // Alone there is nobody to go back to: the crew goes on trying.
    if (this.#isAlone) return;
    this.#hasFailed = true;
    const hasTaken = this.#stage > SuccessionStage.Resting;
    this.#enter(SuccessionStage.Failed, null);
    this.#crew.standBy();
    this.#channel?.say({ is: 'failed', why });
    if (!hasTaken) this.#mustEnd = true;
  }

  /** The old workers take the lanes back; this master's let go of them. */
  #yield(): void {
    this.#watch?.stop();
    this.#watch = null;
    this.office.resign();
    this.#crew.standBy();
    this.#enter(SuccessionStage.Yielding, null);
  }

  /** A worker that was told to take a lane may still do so. */
  #finishYield(): void {
    if (this.#crew.isTaking) return;
    this.#enter(SuccessionStage.Yielded, null);
    this.#channel?.say({ is: 'yielded' });
    this.office.log.info({ event: 'yielded' }, 'the old version takes the lanes back');
  }

  /** He is dead: everything is this master's from now on. */
  #goOnAlone(): void {
    if (this.#isAlone || this.#mustEnd || this.#stage === SuccessionStage.Over) return;
    this.#beAlone();
    this.office.log.warn({ event: 'old_master_gone', masterPid: this.handover.masterPid },
      'the old master is gone, this one goes on alone');
    if (this.#stage === SuccessionStage.Window) this.#conclude('the old master has ended');
    else if (this.#stage === SuccessionStage.Serving) this.#lead();
    else if (this.#stage > SuccessionStage.Resting) this.#startAgain();
  }

  #beAlone(): void {
    this.#isAlone = true;
    for (const { masterPid } of this.office.house.instance.workers()) {
      if (masterPid !== process.pid) this.#dead.add(masterPid);
    }
    this.#undertaker.attend(this.#dead);
  }

  /** From wherever it stopped: with the workers that are there, or with new ones. */
  #startAgain(): void {
    this.#watch?.stop();
    this.#watch = null;
    if (this.#crew.isDismissed) {
      this.#crew = this.office.crewOf(this.generation);
      this.#crew.start();
    }
    this.office.house.pidFile?.write(process.pid);
    this.#takeAll();
  }

  #hear(message: ToSuccessor): void {
    switch (message.do) {
      case 'take':
        if (message.what === 'all') this.#takeAll();
        else this.#takeCanary();
        break;
      case 'lead': this.#lead(); break;
      case 'commit':
        this.#mayStop = true;
        if (!this.#isStopping) this.#conclude('by the old master');
        break;
      case 'yield': this.#yield(); break;
      case 'returned':
        this.#mayStop = true;
        this.#crew.dismiss();
        break;
      case 'end': this.#mustEnd = true; break;
      case 'stop': this.#mayStop = true; break;
      default:
    }
    this.office.changed();
  }

  #takeCanary(): void {
    this.office.priority.restore(process.pid);
    this.#enter(SuccessionStage.Canary, null);
    this.#crew.serve([CANARY_LANE], true);
  }

  #enter(stage: SuccessionStage, patienceMs: number | null): void {
    this.#stage = stage;
    this.#patience.begin(patienceMs);
    this.office.changed();
  }
}
