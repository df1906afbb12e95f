/** A head as numbers: its answers, how good they are, and which samples a training step takes; as `edgeship.client.learning`. */

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
export function scores(features: Float32Array, count: number, {weights, bias}: Head): Float32Array {
  const outputs = bias.length;
  const size = weights.length / outputs;
  const found = new Float32Array(count * outputs);
  const sums = new Float64Array(outputs);
  for (let row = 0; row < count; row++) {
    sums.set(bias);
    for (let index = 0; index < size; index++) {
      const value = features[row * size + index]!;
      if (value !== 0) for (let output = 0; output < outputs; output++) sums[output] = sums[output]! + value * weights[index * outputs + output]!;
    }
    found.set(sums, row * outputs);
  }
  return found;
}

/** Shares of one row of scores. */
export function softmax(row: Float32Array): Float32Array {
  const most = Math.max(...row);
  const powers = Array.from(row, (value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return Float32Array.from(powers, (value) => value / sum);
}

/** The head that lies so far on the way from an old to a new one. */
export function mix(old: Head, fresh: Head, share: number): Head {
  const part = (first: Float32Array, last: Float32Array) => first.map((value, index) => value + share * Math.fround(last[index]! - value));
  return {weights: part(old.weights, fresh.weights), bias: part(old.bias, fresh.bias)};
}

/** The share of right answers, and the mean cross-entropy; NaN without samples. */
export function measure({count, features, target}: Samples, head: Head): {quality: number; loss: number} {
  const found = scores(features, count, head);
  const outputs = head.bias.length;
  let right = 0;
  let loss = 0;
  for (let row = 0; row < count; row++) {
    const own = found.subarray(row * outputs, (row + 1) * outputs);
    const wanted = target.subarray(row * outputs, (row + 1) * outputs);
    const most = Math.max(...own);
    const log = Math.log(own.reduce((sum, value) => sum + Math.exp(value - most), 0));
    for (let output = 0; output < outputs; output++) loss -= wanted[output]! * (own[output]! - most - log);
    if (best(own) === best(wanted)) right++;
  }
  return {quality: right / count, loss: loss / count};
}

function best(values: Float32Array): number {
  let found = 0;
  for (let index = 1; index < values.length; index++) if (values[index]! > values[found]!) found = index;
  return found;
}

/** For each step the rows of the corrected and of the replayed samples that it takes, half and half, of few corrected ones each once; both go round and round. */
export function* batches(corrected: number, replay: number, batch: number, steps: number): Generator<{fresh: number[]; kept: number[]}> {
  const fresh = countFresh(corrected, replay, batch);
  const kept = batch - fresh;
  for (let step = 0; step < steps; step++) {
    yield {
      fresh: Array.from({length: fresh}, (_, index) => (step * fresh + index) % corrected),
      kept: Array.from({length: kept}, (_, index) => (step * kept + index) % (replay || 1)),
    };
  }
}

/** How many of a batch are corrected samples: half, but none of them twice where others can fill it. */
function countFresh(corrected: number, replay: number, batch: number): number {
  return replay ? Math.min(Math.floor(batch / 2), corrected) : batch;
}

/** How many steps so many passes over the corrected samples are, within bounds. */
export function countSteps(corrected: number, replay: number, batch: number, passes: number, fewest: number, most: number): number {
  const fresh = countFresh(corrected, replay, batch);
  return Math.max(fewest, Math.min(most, passes * Math.ceil(corrected / fresh)));
}

/** The rows of some samples, one after the other. */
export function take({features, target, count}: Samples, rows: readonly number[]): Samples {
  const [size, outputs] = [features.length / count, target.length / count];
  const taken = {count: rows.length, features: new Float32Array(rows.length * size), target: new Float32Array(rows.length * outputs)};
  rows.forEach((row, index) => {
    taken.features.set(features.subarray(row * size, (row + 1) * size), index * size);
    taken.target.set(target.subarray(row * outputs, (row + 1) * outputs), index * outputs);
  });
  return taken;
}

export function join(one: Samples, other: Samples): Samples {
  return {
    count: one.count + other.count,
    features: Float32Array.from([...one.features, ...other.features]),
    target: Float32Array.from([...one.target, ...other.target]),
  };
}
