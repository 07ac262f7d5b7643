/** `--check` as a whole: the instance first, for lanes are found by what it says. */
import { checkInstance, superblockFindings } from './instance-check.js';
import type { InstanceObject } from './instance-object.js';
import { checkLanes, type LaneVerdict } from './lane-check.js';

export interface Verdict {
  readonly instance: readonly string[]; // findings
  readonly lanes: readonly LaneVerdict[];
}

export async function check(object: InstanceObject, fdBase: number): Promise<Verdict> {
  const instance = await checkInstance(object);
  const isLost = superblockFindings(object).length > 0;
  return { instance, lanes: isLost ? [] : await checkLanes(object, fdBase) };
}

/** Whether everything that there is was looked at, and nothing was found. */
export function isWell({ instance, lanes }: Verdict): boolean {
  return instance.length === 0
    && lanes.every(({ findings, checked }) => findings.length === 0 && checked !== 'nothing');
}

export function verdictText({ instance, lanes }: Verdict): string {
  const lines = [
    ...placed('instance', instance, 'nothing found'),
    ...lanes.flatMap(({ lane, checked, why, findings }) =>
      placed(`lane ${lane}`, findings, checked === 'nothing' ? `not checked: ${why}`
        : `nothing found${why === '' ? '' : ` in its rows; ${why}`}`)),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function placed(place: string, findings: readonly string[], otherwise: string): string[] {
  return (findings.length > 0 ? findings : [otherwise]).map((line) => `${place}: ${line}`);
}
