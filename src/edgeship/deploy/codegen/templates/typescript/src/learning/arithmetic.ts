/** A head as numbers: its answers, how good they are, one step of its training, and which samples a step takes. */

export type Activation = 'softmax' | 'sigmoid' | 'linear';

/** A dense layer: `weights` of (features, outputs) in C order, and `bias` of (outputs). */
export interface Head {
  weights: Float32Array;
  bias: Float32Array;
}

/** Samples in C order: `features` of (count, n), `target` of (count, outputs). */
export interface Samples {
  count: number;
  features: Float32Array;
  target: Float32Array;
}

/** Scores of (count, outputs). */
export function scores({count, features}: Pick<Samples, 'count' | 'features'>, {weights, bias}: Head): Float32Array {
  const outputs = bias.length;
  const size = weights.length / outputs;
  const found = new Float32Array(count * outputs);
  const sums = new Float64Array(outputs);
  for (let row = 0; row < count; row++) {
    sums.set(bias);
    for (let index = 0; index < size; index++) {
      const value = features[row * size + index]!;
      if (value === 0) continue; // many are, behind a ReLU
      for (let output = 0; output < outputs; output++) sums[output]! += value * weights[index * outputs + output]!;
    }
    found.set(sums, row * outputs);
  }
  return found;
}

/** The answers for scores of (count, outputs): shares for softmax and sigmoid, the scores themselves for linear. */
export function activate(found: Float32Array, outputs: number, activation: Activation): Float32Array {
  if (activation === 'linear') return found;
  if (activation === 'sigmoid') return found.map((score) => 1 / (1 + Math.exp(-score)));
  const shares = new Float32Array(found.length);
  for (let from = 0; from < found.length; from += outputs) {
    const row = found.subarray(from, from + outputs);
    const most = largest(row);
    const sum = row.reduce((total, score) => total + Math.exp(score - most), 0);
    row.forEach((score, output) => (shares[from + output] = Math.exp(score - most) / sum));
  }
  return shares;
}

/** The share of right answers (of a linear head: 1 - squared error / variance), and the mean loss; NaN without samples. */
export function measure(samples: Samples, head: Head, activation: Activation): {quality: number; loss: number} {
  const outputs = head.bias.length;
  const found = scores(samples, head);
  const {count, target} = samples;
  let [right, loss] = [0, 0];
  for (let row = 0; row < count; row++) {
    const own = found.subarray(row * outputs, (row + 1) * outputs);
    const wanted = target.subarray(row * outputs, (row + 1) * outputs);
    if (activation === 'softmax') {
      const most = largest(own);
      const log = Math.log(own.reduce((sum, score) => sum + Math.exp(score - most), 0));
      own.forEach((score, output) => (loss -= wanted[output]! * (score - most - log)));
      right += Number(own.indexOf(most) === wanted.indexOf(largest(wanted)));
    } else if (activation === 'sigmoid') {
      // log(1 + e^score), written so that no power is beyond all numbers
      own.forEach((score, at) => {
        loss += Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score))) - score * wanted[at]!;
      });
      own.forEach((score, output) => (right += Number(score > 0 === wanted[output]! > 0.5) / outputs));
    } else {
      own.forEach((score, output) => (loss += 0.5 * (score - wanted[output]!) ** 2));
    }
  }
  const quality = activation === 'linear' ? explain(2 * loss, target, count) : right / count;
  return {quality, loss: loss / count};
}

/** 1 - squared error / variance, of sums over all numbers. */
function explain(error: number, target: Float32Array, count: number): number {
  const outputs = target.length / count;
  const means = new Float64Array(outputs);
  target.forEach((value, at) => (means[at % outputs]! += value / count));
  const spread = target.reduce((sum, value, at) => sum + (value - means[at % outputs]!) ** 2, 0);
  return spread ? 1 - error / spread : Number(error === 0);
}

/** The head after one step of gradient descent on a batch. */
export function takeStep(batch: Samples, rate: number, head: Head, activation: Activation): Head {
  const {count, features, target} = batch;
  const outputs = head.bias.length;
  const size = head.weights.length / outputs;
  const error = Float64Array.from(
    activate(scores(batch, head), outputs, activation),
    (share, at) => (share - target[at]!) / count,
  );
  const slope = new Float64Array(size * outputs);
  const slopeOfBias = new Float64Array(outputs);
  for (let row = 0; row < count; row++) {
    for (let index = 0; index < size; index++) {
      const value = features[row * size + index]!;
      if (value === 0) continue;
      for (let output = 0; output < outputs; output++) {
        slope[index * outputs + output]! += value * error[row * outputs + output]!;
      }
    }
    for (let output = 0; output < outputs; output++) slopeOfBias[output]! += error[row * outputs + output]!;
  }
  return {
    weights: head.weights.map((value, at) => value - rate * slope[at]!),
    bias: head.bias.map((value, at) => value - rate * slopeOfBias[at]!),
  };
}

/** The head that lies so far on the way from an old to a new one. */
export function mix(old: Head, fresh: Head, share: number): Head {
  const part = (first: Float32Array, last: Float32Array) =>
    first.map((value, at) => value + share * Math.fround(last[at]! - value));
  return {weights: part(old.weights, fresh.weights), bias: part(old.bias, fresh.bias)};
}

export function isFinite({weights, bias}: Head): boolean {
  return weights.every(Number.isFinite) && bias.every(Number.isFinite);
}

/**
 * For each step the rows of the corrected and of the replayed samples that it takes: half and half, of few corrected ones each
 * once. Both go round and round: no random numbers, so that every client takes the same.
 */
export function* batches(corrected: number, replay: number, batch: number, steps: number) {
  const fresh = countFresh(corrected, replay, batch);
  const kept = batch - fresh;
  for (let step = 0; step < steps; step++) {
    yield {
      fresh: Array.from({length: fresh}, (_, at) => (step * fresh + at) % corrected),
      kept: Array.from({length: kept}, (_, at) => (step * kept + at) % (replay || 1)),
    };
  }
}

/** How many of a batch are corrected samples: half, but none of them twice where others can fill it. */
function countFresh(corrected: number, replay: number, batch: number): number {
  return replay ? Math.min(Math.floor(batch / 2), corrected) : batch;
}

/** How many steps so many passes over the corrected samples are, within bounds. */
export function countSteps(
  corrected: number,
  replay: number,
  batch: number,
  passes: number,
  [fewest, most]: readonly [number, number],
): number {
  return Math.max(fewest, Math.min(most, passes * Math.ceil(corrected / countFresh(corrected, replay, batch))));
}

/** The rows of some samples, one after the other. */
export function take({features, target, count}: Samples, rows: readonly number[]): Samples {
  const [size, outputs] = [features.length / count, target.length / count];
  const taken = {
    count: rows.length,
    features: new Float32Array(rows.length * size || 0),
    target: new Float32Array(rows.length * outputs || 0),
  };
  rows.forEach((row, at) => {
    taken.features.set(features.subarray(row * size, (row + 1) * size), at * size);
    taken.target.set(target.subarray(row * outputs, (row + 1) * outputs), at * outputs);
  });
  return taken;
}

/** Some samples behind others. */
export function join(one: Samples, other: Samples): Samples {
  const put = (first: Float32Array, last: Float32Array) => {
    const all = new Float32Array(first.length + last.length);
    all.set(first);
    all.set(last, first.length);
    return all;
  };
  const [features, target] = [put(one.features, other.features), put(one.target, other.target)];
  return {count: one.count + other.count, features, target};
}

/** The row of the largest number, of equal ones the first. */
export function best(values: Float32Array): number {
  return values.indexOf(largest(values));
}

function largest(values: Float32Array): number {
  return values.reduce((one, other) => (other > one ? other : one), -Infinity);
}
