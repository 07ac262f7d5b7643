/**
 * Goal: lanes go from one crew to the other in one order, and go back when they cannot.
 * Method: crews that do what the test says; what the takeover orders is written down.
 */
import t from 'tap';
import { Takeover, TakeoverStage, type TakingCrew } from '../../../src/master/takeover.js';

class FakeCrew implements TakingCrew {
  isReady = false;
  isServing = false;
  isTaking = false;
  hasEnded = false;
  failedStarts = 0;
  failedTakes = 0;
  readonly lanes = [0, 1];

  constructor(private readonly name: string, private readonly orders: string[]) {}

  serve(): void { this.orders.push(`${this.name} serve`); }
  standBy(): void { this.orders.push(`${this.name} stand by`); }
  dismiss(): void { this.orders.push(`${this.name} dismiss`); }
  end(signal: NodeJS.Signals): void { this.orders.push(`${this.name} ${signal}`); }
}

function begin() {
  const orders: string[] = [];
  let onChanged = (): void => {};
  const [old, next] = [new FakeCrew('old', orders), new FakeCrew('new', orders)];
  old.isServing = true;
  const takeover = new Takeover<FakeCrew>(old, next, {
    onTaking: () => orders.push('taking'),
    onTaken: () => orders.push('taken'),
    onFailing: (why) => orders.push(`failing: ${why}`),
    changed: () => onChanged(),
  });
  t.teardown(() => takeover.stop());
  /** What was ordered since the last call, once the takeover has looked around. */
  const look = (): string[] => {
    takeover.continue();
    return orders.splice(0);
  };
  /** The new ones are warm; a moment later they are to take the lanes. */
  const warm = async (): Promise<string[]> => {
    next.isReady = true;
    const ordered = look();
    while (takeover.stage === TakeoverStage.Resting) {
      await new Promise<void>((resolve) => { onChanged = resolve; });
      ordered.push(...look());
    }
    return ordered;
  };
  return { takeover, old, next, look, warm };
}

t.test('all goes well', async (t) => {
  const { takeover, old, next, look, warm } = begin();
  t.same(look(), [], 'nothing before all are warm');
  t.same(await warm(), ['taking', 'old stand by', 'new serve'], 'never two that want a lane');
  old.isServing = false;
  t.same(look(), []);
  next.isServing = true;
  t.same(look(), ['taken', 'old dismiss']);
  t.equal(takeover.stage, TakeoverStage.Parting);
  t.same(look(), []);
  old.hasEnded = true;
  t.same(look(), []);
  t.equal(takeover.stage, TakeoverStage.Done);
});

t.test('workers that do not start: the old ones never stop', async (t) => {
  const { takeover, next, look } = begin();
  next.failedStarts = 3;
  t.same(look(), ['failing: its workers do not start', 'new SIGTERM']);
  next.hasEnded = true;
  t.same(look(), []);
  t.equal(takeover.stage, TakeoverStage.Failed);
});

t.test('a lane that cannot be taken: all go back, then the new ones end', async (t) => {
  const { takeover, old, next, look, warm } = begin();
  await warm();
  old.isServing = false;
  next.failedTakes = 5;
  t.same(look(), ['failing: its workers cannot take the lanes over', 'new stand by', 'old serve']);
  t.same(look(), [], 'the new ones stay as long as they may have a lane');
  old.isServing = true;
  t.same(look(), ['new SIGTERM']);
  next.hasEnded = true;
  look();
  t.equal(takeover.stage, TakeoverStage.Failed);
});
