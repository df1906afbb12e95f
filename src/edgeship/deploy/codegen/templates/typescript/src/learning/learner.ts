/** Answers with a model whose last layer has learned from what its user corrected. Nothing leaves the device. */
import {decide} from '../client';
import {CONTRACT} from '../contract';
import {dequantize, type Engine, preprocess, quantize, type Raw} from '../core';
import {activate, batches, best, countSteps, type Head, join, mix, type Samples, scores, take, takeStep} from './arithmetic';
import {BASE, DESCRIPTION} from './description';
import {DEFAULTS, judge, type LearnResult, type LearnSettings} from './outcome';
import {openPackage, type Package, type ReadFile} from './package';
import {type Collected, State} from './state';
import type {Store} from './store';

const HELD_OUT = 4; // one corrected sample of so many is never trained with
const MOST_SAMPLES = 1024;
const SHARES = [0.5, 0.25]; // of the way to the new head, where all of it is too far
const PAUSE = 30; // milliseconds of work, after which an app gets to draw

export class HeadLearner {
  private last: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly base: Engine,
    private readonly opened: Package,
    private readonly state: State,
    private learned: Head | null,
    private collected: Collected,
  ) {}

  /**
   * `base`: an engine of head/base.tflite, made with `BASE`. `read` gives the content of a file of the folder `head`. `store`: where
   * this device keeps what it learns, of this learner alone. Throws an Error where a file is missing or was changed.
   */
  static async open(base: Engine, read: ReadFile, store: Store): Promise<HeadLearner> {
    const state = new State(store, DESCRIPTION);
    const opened = await openPackage(DESCRIPTION, read);
    return new HeadLearner(base, opened, state, await state.readHead(), await state.readSamples());
  }

  /** The head that answers: the learned one; the shipped one where there is none, or it is damaged or of another version. */
  get head(): Head {
    return this.learned ?? this.opened.head;
  }

  /** Whether a learned head answers. */
  get hasLearned(): boolean {
    return this.learned !== null;
  }

  /** How many corrected samples are kept. */
  get samples(): number {
    return this.collected.samples.count;
  }

  /** The output for the raw data of each input, as the client's `predict` gives it, of the head as it is now. */
  async predict(...raws: Raw[]): Promise<Float32Array[]> {
    return this.answerFeatures(await this.computeFeatures(raws));
  }

  /** The best answers, as the client's `classify` gives them, of the head as it is now. */
  async classify(raw: Raw, count = 3) {
    const [found] = await this.predict(raw);
    return decide(CONTRACT.outputs[DESCRIPTION.place]!, found!, count);
  }

  /** As `predict`, for features that were computed before. */
  answerFeatures(features: Float32Array): Float32Array[] {
    const {answers, outputs} = DESCRIPTION;
    return [activate(scores({count: 1, features}, this.head), outputs, answers)];
  }

  /** The features of one sample. Throws an Error for what an input does not take, and where one is no finite number. */
  async computeFeatures(raws: readonly Raw[]): Promise<Float32Array> {
    const {inputs} = CONTRACT;
    if (raws.length !== inputs.length) throw new Error(`the model takes ${inputs.length} inputs`);
    return this.computeTensorFeatures(raws.map((raw, at) => preprocess(inputs[at]!, raw)));
  }

  /** The same of tensors as `preprocess` gives them. */
  async computeTensorFeatures(tensors: readonly Float32Array[]): Promise<Float32Array> {
    const [found] = await this.base.run(tensors.map((tensor, at) => quantize(BASE.inputs[at]!.edge, tensor)));
    const features = dequantize(BASE.outputs[0]!.edge, found!);
    if (!features.every(Number.isFinite)) {
      throw new Error('these inputs give features that are no finite numbers; nothing is learned from them');
    }
    return features;
  }

  /**
   * Keep a corrected sample as its features, the newest 1,024 of all; gives how many are kept now. `right`: the class, or what each
   * output should have been. Throws an Error for what cannot be learned from.
   */
  async collect(raws: Raw | readonly Raw[], right: number | ArrayLike<number>): Promise<number> {
    const target = makeTarget(right);
    const features = await this.computeFeatures(Array.isArray(raws) ? raws : [raws as Raw]);
    return this.collectFeatures({count: 1, features, target});
  }

  /** As `collect`, of features that were computed before. */
  collectFeatures(samples: Samples): Promise<number> {
    return this.inTurn(async () => {
      const {collected} = this;
      const joined = join(collected.samples, samples);
      const rows = range(joined.count).slice(-MOST_SAMPLES);
      const numbers = [...collected.numbers, ...range(samples.count).map((at) => collected.next + at)];
      const kept = {
        samples: rows.length < joined.count ? take(joined, rows) : joined,
        numbers: Uint32Array.from(numbers.slice(-MOST_SAMPLES)),
        next: collected.next + samples.count,
      };
      await this.state.writeSamples(kept);
      this.collected = kept;
      return rows.length;
    });
  }

  /**
   * Train a new head from the shipped one with all corrected samples and the replayed ones; keep it where it is no worse. Where it is,
   * half of the way is tried, and a quarter. Throws an Error where there is nothing to learn from: no sample, or of one class only.
   */
  learn(settings: Partial<LearnSettings> = {}): Promise<LearnResult> {
    return this.inTurn(async () => {
      const {samples, numbers} = this.collected;
      checkSamples(samples);
      const rows = range(samples.count);
      const isHeld = (row: number) => numbers[row]! % HELD_OUT === HELD_OUT - 1;
      const [train, heldOut] = [take(samples, rows.filter((row) => !isHeld(row))), take(samples, rows.filter(isHeld))];
      const {head: shipped, replay, guard} = this.opened;
      const {passes, fewestSteps, mostSteps, limit, rate = DESCRIPTION.rate} = {...DEFAULTS, ...settings};
      const {activation, batch} = DESCRIPTION;
      const steps = countSteps(train.count, replay.count, batch, passes, [fewestSteps, mostSteps]);
      const trial = {activation, shipped, before: this.head, train, heldOut, replay, guard, limit, steps, rate};
      const head = await this.train(train, steps, rate);
      const whole = judge(trial, head, 1);
      if (whole.kept) return this.keep(head, whole);
      if (whole.lossAfter === null || !(whole.lossAfter <= whole.lossBefore)) return whole;
      for (const share of SHARES) {
        const part = mix(shipped, head, share);
        const result = judge(trial, part, share);
        const mends = result.correctedAfter > result.correctedBefore;
        if (result.kept && mends) return this.keep(part, result);
      }
      return whole;
    });
  }

  /** Answer with the shipped head again; the corrected samples are deleted, too, unless they are to stay. */
  forget(samples = true): Promise<void> {
    return this.inTurn(async () => {
      await this.state.forget(samples);
      [this.learned, this.collected] = [await this.state.readHead(), await this.state.readSamples()];
    });
  }

  /** What changes what is kept, one after the other. */
  private inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.last.then(change);
    this.last = done.catch(() => undefined);
    return done;
  }

  private async keep(head: Head, result: LearnResult): Promise<LearnResult> {
    await this.state.writeHead(head);
    this.learned = head;
    return result;
  }

  private async train(train: Samples, steps: number, rate: number): Promise<Head> {
    const {head: shipped, replay} = this.opened;
    let [head, since] = [shipped, Date.now()];
    for (const {fresh, kept} of batches(train.count, replay.count, DESCRIPTION.batch, steps)) {
      const corrected = take(train, fresh);
      head = takeStep(kept.length ? join(corrected, take(replay, kept)) : corrected, rate, head, DESCRIPTION.activation);
      if (Date.now() - since < PAUSE) continue;
      await new Promise((resolve) => setTimeout(resolve, 0));
      since = Date.now();
    }
    return head;
  }
}

/** The target of a class (softmax), or of a number for each output. Throws an Error for what the head cannot give. */
export function makeTarget(right: number | ArrayLike<number>): Float32Array {
  const {activation, outputs} = DESCRIPTION;
  if (activation === 'softmax' && typeof right === 'number') {
    if (!Number.isInteger(right) || right < 0 || right >= outputs) {
      throw new Error(`a label must be a whole number from 0 to ${outputs - 1}`);
    }
    return Float32Array.from({length: outputs}, (_, output) => Number(output === right));
  }
  const target = Float32Array.from(typeof right === 'number' ? [right] : right);
  const shares = activation !== 'linear';
  const fits = target.every((value) => Number.isFinite(value) && (!shares || (value >= 0 && value <= 1)));
  if (target.length !== outputs || !fits) {
    throw new Error(`a target must be ${outputs} numbers${shares ? ' from 0 to 1' : ''}`);
  }
  return target;
}

function checkSamples({count, target}: Samples): void {
  if (!count) throw new Error('nothing was corrected yet, so that there is nothing to learn from');
  const {activation, outputs, labels} = DESCRIPTION;
  const classes = new Set(range(count).map((row) => best(target.subarray(row * outputs, (row + 1) * outputs))));
  if (activation !== 'softmax' || classes.size > 1) return;
  const [one] = classes;
  const name = labels[one!] === undefined ? `class ${one}` : `'${labels[one!]}'`;
  throw new Error(`all ${count} corrected samples are of one class, ${name}; correct some of another, too`);
}

const range = (count: number) => Array.from({length: count}, (_, at) => at);
