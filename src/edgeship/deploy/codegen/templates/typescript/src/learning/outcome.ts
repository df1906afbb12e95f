/** How a head is learned, what came of it, and the gate between the two. */
import {type Activation, type Head, isFinite, measure, type Samples} from './arithmetic';

/**
 * `rate`: the learning rate, by default the one that suits the features. `passes` over the corrected samples, at least
 * `fewestSteps` and at most `mostSteps` steps in all. `limit`: how far the share of right answers may fall, on the guard samples
 * and on the corrected samples that are held out, before the old head stays; one sample may always.
 */
export interface LearnSettings {
  rate?: number;
  passes: number;
  fewestSteps: number;
  mostSteps: number;
  limit: number;
}

export const DEFAULTS: LearnSettings = {passes: 40, fewestSteps: 100, mostSteps: 2000, limit: 0.02};

/** What made the old head stay: the loss rose, or right answers became wrong on the guard samples, or on those held out. */
export type Cause = 'loss' | 'guard' | 'held_out';

/**
 * What came of learning: whether the new head was `kept`, or the `reason` why the old one stays, and its `cause`.
 *
 * `share`: how far it went from the shipped head to the new one, where all of the way was too far. `samples` are the corrected
 * ones, `heldOut` of them were not trained with. Qualities are shares of right answers (of a linear head: 1 - squared error /
 * variance), of the head that was there before and of the new one: `corrected` of the samples trained with, `heldOut` of those
 * held out (null where there are none), `guard` of the bundle's own, where `guardBefore` is the shipped head's. `loss`: mean of
 * what was trained with, corrected and replayed samples half and half, of the shipped head and of the new one (null where that is
 * no finite number).
 */
export interface LearnResult {
  kept: boolean;
  reason: string;
  cause: Cause | null;
  samples: number;
  heldOut: number;
  steps: number;
  rate: number;
  share: number;
  lossBefore: number;
  lossAfter: number | null;
  correctedBefore: number;
  correctedAfter: number;
  guardBefore: number;
  guardAfter: number;
  heldOutBefore: number | null;
  heldOutAfter: number | null;
}

/** What a new head is judged by: the `shipped` one, the one that answered `before`, and samples. */
export interface Trial {
  activation: Activation;
  shipped: Head;
  before: Head;
  train: Samples;
  heldOut: Samples;
  replay: Samples;
  guard: Samples;
  limit: number;
  steps: number;
  rate: number;
}

/** Whether a head is kept that went so far on the way: where nothing that is known got worse than the limit allows. */
export function judge(trial: Trial, head: Head, share: number): LearnResult {
  const {activation, shipped, before, train, heldOut, guard, limit, steps, rate} = trial;
  const quality = (samples: Samples, of: Head) => measure(samples, of, activation).quality;
  const [lossBefore, loss] = [meanLoss(trial, shipped), meanLoss(trial, head)];
  const [guardBefore, guardAfter] = [quality(guard, shipped), quality(guard, head)];
  const held = heldOut.count ? ([quality(heldOut, before), quality(heldOut, head)] as const) : null;
  let [cause, reason]: [Cause | null, string] = [null, ''];
  if (!isFinite(head) || !(loss <= lossBefore)) {
    const after = Number.isFinite(loss) ? brief(loss) : 'beyond all numbers';
    [cause, reason] = ['loss', `the loss rose from ${brief(lossBefore)} to ${after}: the rate ${brief(rate)} is too large`];
  } else if (fell(guardBefore, guardAfter, guard.count, limit)) {
    [cause, reason] = ['guard', `on the guard samples it fell from ${percent(guardBefore)} to ${percent(guardAfter)}`];
  } else if (held && fell(...held, heldOut.count, limit)) {
    [cause, reason] = ['held_out', `on the held-out samples it fell from ${percent(held[0])} to ${percent(held[1])}`];
  }
  return {
    kept: !cause,
    reason,
    cause,
    samples: train.count + heldOut.count,
    heldOut: heldOut.count,
    steps,
    rate,
    share,
    lossBefore,
    lossAfter: Number.isFinite(loss) ? loss : null,
    correctedBefore: quality(train, before),
    correctedAfter: quality(train, head),
    guardBefore,
    guardAfter,
    heldOutBefore: held && held[0],
    heldOutAfter: held && held[1],
  };
}

/** Half of corrected and half of replayed samples, as they are trained with. */
function meanLoss({train, replay, activation}: Trial, head: Head): number {
  const seen = [train, replay].filter(({count}) => count);
  return seen.reduce((sum, part) => sum + measure(part, head, activation).loss, 0) / seen.length;
}

/** Whether a quality fell by more than the limit; of few samples, a single one is no sign of anything. */
function fell(before: number, after: number, count: number, limit: number): boolean {
  return !(before - after <= Math.max(limit, 1.5 / count));
}

const brief = (value: number) => String(Number(value.toPrecision(3)));
const percent = (share: number) => `${(share * 100).toFixed(1)}%`;
