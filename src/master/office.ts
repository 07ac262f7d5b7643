/**
 * What it means to be the master in charge: exactly one is, whoever's workers serve.
 *
 *   in charge    ejects and re-admits servers, answers on the statistics' ports, is the master that
 *                the superblock, the mute parent and the service manager know, and removes what is
 *                left when it ends
 *   else         only looks after its own workers
 */
import type { ChildProcess } from 'node:child_process';
import type { Logger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { workerCount } from './worker-count.js';
import { tellCrash } from './crash-reports.js';
import { Crew } from './crew.js';
import { Ejection } from './ejection.js';
import type { Generation } from './generation.js';
import type { House } from './house.js';
import { notify } from './notify.js';
import type { ParentLine } from './parent-line.js';
import type { Priority } from './priority.js';
import { spawnWorker } from './spawn.js';
import { ANY_LANE } from './standby.js';

export class Office {
  readonly log: Logger;
  readonly ejection: Ejection;
  #isHeld = false;

  constructor(
    readonly house: House,
    readonly parent: ParentLine | null,
    readonly priority: Priority,
    readonly isBackground: boolean, // the terminal was left: workers must not hold it
    /** Something happened that the master's loop should look at. */
    readonly changed: () => void,
  ) {
    this.log = house.log.to;
    this.ejection = new Ejection({ instance: house.instance, log: this.log });
    native.processWatch(house.doorbell, () => {
      this.ejection.look();
      changed();
    });
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** From now on this master is in charge, and lanes follow `generation`. */
  hold(generation: Generation): void {
    this.house.instance.publish(generation);
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.ejection.take();
    this.house.admin.resume();
  }

  /** Tells whoever started Baton which master to turn to. */
  announce(): void {
    this.parent?.serving();
    notify({ kind: 'ready', pid: process.pid });
  }

  /** Another master is in charge. */
  resign(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.ejection.rest();
    this.house.admin.pause();
  }

  /** Baton ends: clients are refused from now on, not left waiting. Unless another is in charge. */
  close(): void {
    if (!this.#isHeld) return;
    this.house.listeners.close();
    notify({ kind: 'stopping' });
  }

  /** A crew for this generation; nobody is started yet. */
  crewOf(generation: Generation): Crew {
    return new Crew({
      rows: this.house.instance,
      log: this.log,
      changed: this.changed,
      priority: this.priority,
      ring: (lane) => native.processRing(this.house.gears.of(lane).bellFd),
      spawn: (lane, row) => this.#spawn(generation, lane, row),
    }, generation);
  }

  /** Follows what a reload has changed of the master itself. */
  follow(settings: Settings): void {
    try {
      this.house.follow(settings);
    } catch (error) {
      this.log.error({ event: 'log_not_reopened' }, `log: ${settings.global.log} ` +
        `cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #spawn(generation: Generation, lane: number, row: number): ChildProcess {
    const { instance, doorbell, gears, listeners, build, log } = this.house;
    const lanes = Array.from({ length: workerCount(generation.roster.settings) }, (_, at) => at);
    const outside = this.isBackground ? 'ignore' : 'inherit';
    const child = spawnWorker({
      node: build.execPath,
      program: build.workerProgram,
      addon: build.addon,
      shmFd: instance.shmFd,
      segmentBytes: instance.bytes,
      openFilesMax: instance.openFilesMax,
      doorbell,
      stderr: log.file === null ? outside : 'pipe',
    }, {
      row, generation, lane,
      gears: (lane === ANY_LANE ? lanes : [lane]).map((each) => gears.of(each)),
      peers: lanes.map((each) => gears.of(each)),
      sockets: lane === ANY_LANE ? [] : listeners.of(lane),
    });
    child.once('exit', (code, signal) => {
      const its = instance.workers().find((each) => each.row === row)?.lane ?? lane;
      tellCrash(log.to, generation.roster.settings, its, child.pid, signal ?? `exit code ${code}`);
    });
    return child;
  }
}
