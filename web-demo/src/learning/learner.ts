/** Teaches the last layer of a model in this browser, as `edgeship.client.learning.HeadLearner` does in Python. */
import type {Bundle} from '../bundle/bundle';
import type {NumpyArray} from '../bundle/npz';
import {batches, countSteps, type Head, join, measure, mix, type Samples, scores, softmax, take} from './arithmetic';
import {type Description, FILE, openPackage, type Package} from './package';
import {Models} from './runtime';
import * as store from './store';

const HELD_OUT = 4;
/** Of the way from the shipped head to the new one, where all of it is too far. */
const SHARES = [0.5, 0.25];
const MOST_SAMPLES = 1024;
const [PASSES, FEWEST_STEPS, MOST_STEPS, LIMIT] = [40, 100, 2000, 0.02];

export interface Result {
  kept: boolean;
  reason: string;
  samples: number;
  heldOut: number;
  steps: number;
  /** How far it went from the shipped head to the new one. */
  share: number;
  /** Shares of right answers, before and after; null where there are no such samples. */
  corrected: [number, number];
  held: [number, number] | null;
  guard: [number, number];
}

type Inputs = Record<string, Pick<NumpyArray, 'shape' | 'data'>>;

export class Learner {
  private constructor(
    private readonly opened: Package, private readonly models: Models, private readonly digest: string, private learned: store.Learned,
  ) {}

  /** Open what a bundle has for learning, and what was learned here before. */
  static async open(bundle: Bundle, description: Description): Promise<Learner> {
    const opened = await openPackage(bundle, description);
    const digest = bundle.manifest.files[FILE]!;
    const empty = {head: null, samples: {count: 0, features: new Float32Array(), target: new Float32Array()}};
    const learned = await store.read(digest, description.features, description.outputs).catch(() => undefined);
    return new Learner(opened, await Models.open(bundle, description), digest, learned ?? empty);
  }

  /** The head that answers: the learned one, else the shipped one. */
  get head(): Head {
    return this.learned.head ?? this.opened.head;
  }

  get hasLearned(): boolean {
    return this.learned.head !== null;
  }

  /** How many corrected samples are kept. */
  get count(): number {
    return this.learned.samples.count;
  }

  /** How many classes the corrected samples are of. */
  get classes(): number {
    const {samples} = this.learned;
    const {outputs} = this.opened.description;
    return new Set(Array.from({length: samples.count}, (_, row) => samples.target.subarray(row * outputs, (row + 1) * outputs).indexOf(1))).size;
  }

  /** The shares of one sample's classes. */
  async answer(inputs: Inputs): Promise<Float32Array> {
    return softmax(scores(await this.models.features(inputs), 1, this.head));
  }

  /** Keep a corrected sample as its features. */
  async collect(inputs: Inputs, label: number): Promise<void> {
    const features = await this.models.features(inputs);
    const target = new Float32Array(this.opened.description.outputs);
    target[label] = 1;
    const samples = join(this.learned.samples, {count: 1, features, target});
    const newest = Math.min(samples.count, MOST_SAMPLES);
    const rows = Array.from({length: newest}, (_, index) => samples.count - newest + index);
    this.learned = {...this.learned, samples: newest < samples.count ? take(samples, rows) : samples};
    await store.write(this.digest, this.learned);
  }

  /** Train from the shipped head; the new one is kept where nothing that is known got worse than the limit allows. */
  async learn(): Promise<Result> {
    const {samples} = this.learned;
    const all = Array.from({length: samples.count}, (_, row) => row);
    const train = take(samples, all.filter((row) => row % HELD_OUT !== HELD_OUT - 1));
    const held = take(samples, all.filter((row) => row % HELD_OUT === HELD_OUT - 1));
    const {replay, guard, head: shipped, description} = this.opened;
    const steps = countSteps(train.count, replay.count, description.batch, PASSES, FEWEST_STEPS, MOST_STEPS);
    const learned = await this.train(train, replay, steps);
    const before = this.head;
    const seen = [train, replay].filter(({count}) => count); // half and half, as they are trained with
    const loss = (which: Head) => seen.reduce((sum, part) => sum + measure(part, which).loss, 0) / seen.length;
    const judge = (share: number): {head: Head; result: Result; rose: boolean} => {
      const head = share === 1 ? learned : mix(shipped, learned, share);
      const compare = (data: Samples, first: Head): [number, number] => [measure(data, first).quality, measure(data, head).quality];
      const losses = [loss(shipped), loss(head)] as const;
      const [known, apart] = [compare(guard, shipped), held.count ? compare(held, before) : null];
      const reason = refuse(losses, [known, guard.count], apart && [apart, held.count]);
      const counts = {samples: samples.count, heldOut: held.count, steps, share};
      return {head, rose: !(losses[1] <= losses[0]), result: {kept: !reason, reason, ...counts, corrected: compare(train, before), held: apart, guard: known}};
    };
    const whole = judge(1);
    const tried = whole.result.kept || whole.rose ? [whole] : [whole, ...SHARES.map(judge)];
    const mends = ({kept, share, corrected}: Result) => kept && (share === 1 || corrected[1] > corrected[0]);
    const found = tried.find(({result}) => mends(result)) ?? whole;
    if (found.result.kept) {
      this.learned = {...this.learned, head: found.head};
      await store.write(this.digest, this.learned);
    }
    return found.result;
  }

  /** The head after so many steps from the shipped one. */
  async train(train: Samples, replay: Samples, steps: number): Promise<Head> {
    let {head} = this.opened;
    for (const {fresh, kept} of batches(train.count, replay.count, this.opened.description.batch, steps)) {
      const batch = kept.length ? join(take(train, fresh), take(replay, kept)) : take(train, fresh);
      head = await this.models.takeStep(batch, this.opened.description.rate, head);
    }
    return head;
  }

  /** Answer with the shipped head again, and delete the corrected samples. */
  async forget(): Promise<void> {
    await store.forget(this.digest);
    this.learned = {head: null, samples: {count: 0, features: new Float32Array(), target: new Float32Array()}};
  }
}

type Judged = readonly [shares: [number, number], count: number];

/** Why the old head stays; of few samples, a single one that is wrong now is no sign of anything. */
function refuse(losses: readonly [number, number], guard: Judged, held: Judged | null): string {
  const fell = ([[before, after], count]: Judged) => !(before - after <= Math.max(LIMIT, 1.5 / count));
  const change = ([[before, after]]: Judged) => `${percent(before)} to ${percent(after)}`;
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  if (!(losses[1] <= losses[0])) return `the loss rose from ${losses[0].toPrecision(3)} to ${losses[1].toPrecision(3)}`;
  if (fell(guard)) return `on samples that the model knows it fell from ${change(guard)}`;
  if (held && fell(held)) return `on corrected samples that were held out it fell from ${change(held)}`;
  return '';
}
