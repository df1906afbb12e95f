/** Counts inferences in the bins of a bundle's profile, as `edgeship.client` does: docs/monitoring/report.md. Pages have it, too. */

export interface Descriptors {
  name: string;
  descriptors: {edges: number[]}[];
  columns: boolean;
  every: number;
  stride: number;
  low: number;
  high: number;
}
export interface ProfileOutput {
  name: string;
  classes: number;
  scores: string;
  threshold: number;
  confidence: number[];
  margin: number[];
  entropy: number[];
  values: Descriptors | null;
}
/** The parts of a `profile.json` that counting needs. */
export interface Profile {
  kind: string;
  schema: number;
  artifacts: Record<string, string>;
  latency: number[];
  inputs: Descriptors[];
  outputs: ProfileOutput[];
}
export type Bins = Pick<Profile, 'latency' | 'inputs' | 'outputs'>;
export type Tensors = Record<string, ArrayLike<number>>;
type Cells = Record<string, number>;
type OutputCounts = {kind: 'classes'; joint: Cells; margin: number[]; entropy: number[]} | {kind: 'values'; values: number[][]};
/** As in a report, but that cells with their counts are objects, so that two of them are easily added. */
export interface Counts {
  n: number;
  outputs: Record<string, OutputCounts>;
  inputs: Record<string, number[][]>;
  latency: Cells;
  switches: number;
  errors: Cells;
  fallbacks: number;
  outcomes: Record<string, Cells>;
}

const MOST_CODES = 15;
const zeros = (length: number) => Array<number>(length).fill(0);
const histograms = (form: Descriptors) => form.descriptors.map(({edges}) => zeros(edges.length + 2));
// Not `in`, which finds what every object has, as `constructor`: a word as any other.
const has = Object.hasOwn;
const increase = (cells: Cells, cell: string | number) => (cells[cell] = (has(cells, cell) ? cells[cell]! : 0) + 1);

/** The word by which it is counted, `other` where there are too many. Throws an Error for what a report cannot have. */
function limit(known: object, word: string): string {
  if (!/^[a-z][a-z0-9_]{0,31}$/.test(word)) throw new Error(`${JSON.stringify(word.slice(0, 60))} is no word of a-z, 0-9 and '_'`);
  return has(known, word) || Object.keys(known).length < MOST_CODES ? word : 'other';
}

/** The number of edges that are not above a value. */
function bin(edges: number[], value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edges[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Add one sample's descriptors; the last bin is of NaN. */
function countValues(counts: number[][], {descriptors, columns, every, stride, low, high}: Descriptors, data: ArrayLike<number>): void {
  const put = (index: number, value: number) => {
    const {edges} = descriptors[index]!;
    counts[index]![value !== value ? edges.length + 1 : bin(edges, value)]!++;
  };
  if (columns) return descriptors.forEach((_, index) => put(index, data[index]!));
  const first = data[0]!;
  let [count, sum, squares, below, above, steps, pairs] = [0, 0, 0, 0, 0, 0, 0];
  for (let index = 0; index < data.length; index += every, count++) {
    const value = data[index]!;
    const shifted = value - first;
    sum += shifted;
    squares += shifted * shifted;
    if (value <= low) below++;
    if (value >= high) above++;
  }
  for (let index = stride; index < data.length; index += every, pairs++) steps += Math.abs(data[index]! - data[index - stride]!);
  const mean = sum / count;
  const variance = squares / count - mean * mean;
  put(0, first + mean);
  put(1, Math.sqrt(variance < 0 ? 0 : variance));
  put(2, below / count);
  put(3, above / count);
  put(4, pairs ? steps / pairs : 0);
}

/** The predicted class, its probability, the margin before the next, and the entropy as a share; null where a score is not finite. */
function describe({scores, classes, threshold}: ProfileOutput, data: ArrayLike<number>): [number, number, number, number] | null {
  let total = 0;
  let largest = -Infinity;
  let predicted = 0;
  for (let index = 0; index < data.length; index++) {
    const value = data[index]!;
    total += value;
    if (value > largest) [largest, predicted] = [value, index];
  }
  if (!isFinite(total)) return null;
  let shares = data;
  if (scores === 'logits') {
    const powers = Array.from(data, (value) => Math.exp(value - largest));
    const sum = powers.reduce((a, b) => a + b);
    shares = powers.map((power) => power / sum);
  } else if (scores !== 'probabilities') {
    const second = scores === 'logit' ? 1 / (1 + Math.exp(-largest)) : largest;
    shares = [1 - second, second];
    predicted = Number(largest >= threshold);
  }
  let top = -Infinity;
  let next = top;
  let entropy = 0;
  for (let index = 0; index < shares.length; index++) {
    const share = shares[index]!;
    if (share > top) [next, top] = [top, share];
    else if (share > next) next = share;
    if (share > 0) entropy -= share * Math.log(share);
  }
  return [predicted, shares[predicted]!, top - next, entropy / Math.log(classes)];
}

export class Counter {
  #counts!: Counts;
  #before = -1;

  constructor(private readonly profile: Bins) {
    this.take();
  }

  /** Count one inference of one sample: real numbers that came out, float32 numbers that went in. Returns the class, where there is one. */
  count(outputs: Tensors, inputs: Tensors, milliseconds?: number): number | undefined {
    const {profile} = this;
    const counts = this.#counts;
    const found = profile.outputs.map((form) => (form.classes ? describe(form, outputs[form.name]!) : undefined));
    if (found.includes(null)) return this.error('not_finite');
    counts.n++;
    let first: number | undefined;
    profile.outputs.forEach((form, index) => {
      const output = counts.outputs[form.name]!;
      if (output.kind === 'values') return countValues(output.values, form.values!, outputs[form.name]!);
      const [predicted, confidence, margin, entropy] = found[index]!;
      first ??= predicted;
      increase(output.joint, predicted * (form.confidence.length + 1) + bin(form.confidence, confidence));
      output.margin[bin(form.margin, margin)]!++;
      output.entropy[bin(form.entropy, entropy)]!++;
    });
    for (const form of profile.inputs) countValues(counts.inputs[form.name]!, form, inputs[form.name]!);
    if (milliseconds !== undefined) increase(counts.latency, bin(profile.latency, milliseconds));
    if (first === undefined) return;
    if (this.#before >= 0 && this.#before !== first) counts.switches++;
    return (this.#before = first);
  }

  /**
   * Count what became of an answer: `accepted`, `corrected`, or a word of the app's own (a-z, 0-9, '_'). `predicted`: what `count`
   * returned of it. Throws an Error for a class or word that can be none.
   */
  outcome(event: string, predicted = 0): void {
    const {outcomes} = this.#counts;
    const name = limit(outcomes, event);
    const classes = this.profile.outputs.find((form) => form.classes)?.classes ?? 1;
    if (!Number.isInteger(predicted) || predicted < 0 || predicted >= classes) {
      throw new Error(`class ${predicted} is none of the model's ${classes}`);
    }
    if (!has(outcomes, name)) outcomes[name] = {};
    increase(outcomes[name]!, predicted);
  }

  /** Count an inference without a result, by a code such as `out_of_memory` (a-z, 0-9, '_'); never a message. */
  error(code: string): undefined {
    const {errors} = this.#counts;
    increase(errors, limit(errors, code));
  }

  /** Count an answer that something else gave in the model's place. */
  fallback(): void {
    this.#counts.fallbacks++;
  }

  /** What was counted, and begin anew. */
  take(): Counts {
    const taken = this.#counts;
    const {outputs, inputs} = this.profile;
    const empty = (form: ProfileOutput): OutputCounts =>
      form.values
        ? {kind: 'values', values: histograms(form.values)}
        : {kind: 'classes', joint: {}, margin: zeros(form.margin.length + 1), entropy: zeros(form.entropy.length + 1)};
    this.#counts = {
      n: 0,
      outputs: Object.fromEntries(outputs.map((form) => [form.name, empty(form)])),
      inputs: Object.fromEntries(inputs.map((form) => [form.name, histograms(form)])),
      latency: {},
      switches: 0,
      errors: {},
      fallbacks: 0,
      outcomes: {},
    };
    return taken;
  }

  /** What was counted since the last `take`. */
  get counts(): Counts {
    return this.#counts;
  }
}
