/**
 * HUP: a new configuration comes into force by workers of its own, which take the lanes over with
 * everything that is in them. What cannot be had is told, and the running one stays.
 */
import { systemReason } from '../base/errors.js';
import type { Settings } from '../config/settings.js';
import type { Crew } from './crew.js';
import type { Generation } from './generation.js';
import { identityMistakes } from './house.js';
import type { ListenerChange } from './listeners.js';
import { workerCount } from './worker-count.js';
import { notify } from './notify.js';
import type { Office } from './office.js';
import { loadAgain, reasonsOf, refuse, type Loaded } from './reload.js';
import { settingsDiff } from './settings-diff.js';
import { Takeover, TakeoverStage } from './takeover.js';

export class Reloading {
  readonly #takeover: Takeover;

  private constructor(
    private readonly office: Office,
    private readonly old: Crew,
    private readonly generation: Generation,
    private readonly change: ListenerChange,
  ) {
    const { ejection, house, changed } = office;
    ejection.watch([old.generation, generation]);
    this.#takeover = new Takeover(old, office.crewOf(generation), {
      onTaking: () => house.instance.publish(generation),
      onTaken: () => this.#tellTaken(),
      onFailing: (why) => this.#fail(why),
      changed,
    });
    try {
      this.#takeover.next.start();
    } catch (error) {
      this.#takeover.fail(systemReason(error));
    }
  }

  /** Null, and all reasons logged: this configuration cannot be had. */
  static begin(office: Office, load: () => Loaded, old: Crew): Reloading | null {
    const { house, log } = office;
    const running = old.generation.roster.settings;
    log.info({ event: 'reloading' }, `reading ${running.file} again`);
    const settings = loadAgain(load, running, log);
    if (settings === null) return null;
    const mistakes = [...house.instance.misfits(settings), ...identityMistakes(settings)];
    if (mistakes.length > 0) {
      refuse(mistakes, log);
      return null;
    }
    const roster = house.instance.nextRoster(settings);
    let change: ListenerChange;
    try {
      change = house.listeners.change(roster, workerCount(settings));
    } catch (error) {
      refuse(reasonsOf(error), log);
      return null;
    }
    notify({ kind: 'reloading' });
    return new Reloading(office, old, house.instance.write(roster), change);
  }

  /** The crew whose configuration is in force. */
  get crew(): Crew {
    const { stage, next, old } = this.#takeover;
    return stage === TakeoverStage.Parting || stage === TakeoverStage.Done ? next : old;
  }

  get crews(): readonly Crew[] {
    return [this.#takeover.old, this.#takeover.next];
  }

  get isOver(): boolean {
    const { stage } = this.#takeover;
    return stage === TakeoverStage.Done || stage === TakeoverStage.Failed;
  }

  /** Goes as far as it can now; the last step sees isOver. */
  continue(): void {
    if (this.isOver) return;
    this.#takeover.continue();
    if (this.isOver) this.#conclude();
  }

  /** The master itself ends. */
  stop(): void {
    this.#takeover.stop();
  }

  #tellTaken(): void {
    const { old, next } = this.#takeover;
    const changes = this.#changes();
    this.change.finish();
    this.office.follow(this.#settings);
    const facts = {
      generation: this.generation.roster.generation, workers: next.pids, ending: old.pids, changes,
    };
    this.office.log.info({ event: 'reloaded', ...facts },
      `the new configuration serves: ${changes.join('; ') || 'nothing has changed'}`);
  }

  #fail(why: string): void {
    const { house, log } = this.office;
    house.instance.publish(this.old.generation);
    this.change.undo();
    log.error({ event: 'reload_failed', why },
      `the reload failed, the running configuration stays: ${why}`);
  }

  #conclude(): void {
    const { house, ejection, log } = this.office;
    this.office.announce();
    ejection.watch([this.crew.generation]);
    if (this.#takeover.stage === TakeoverStage.Failed) return;
    house.listeners.drop((id) => house.instance.isWatched(id));
    log.info({ event: 'drained', generation: this.generation.roster.generation },
      'the reload is complete, the old workers have ended');
  }

  get #settings(): Settings {
    return this.generation.roster.settings;
  }

  #changes(): string[] {
    return settingsDiff(this.old.generation.roster.settings, this.#settings);
  }
}
