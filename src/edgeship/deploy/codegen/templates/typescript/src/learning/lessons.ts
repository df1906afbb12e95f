/**
 * The lessons of the self-test: does this device learn what edgeship learns of the same samples, refuse what it must, and find its
 * way back from a damaged file?
 */
import {CONTRACT} from '../contract';
import type {Engine} from '../core';
import type {Samples} from './arithmetic';
import {BAD_LESSON, BASE, DESCRIPTION, FIRST_LESSON, TOLERANCE} from './description';
import {HeadLearner} from './learner';
import type {LearnResult} from './outcome';
import {checkFile, type ReadFile} from './package';
import {HEAD_FILE} from './state';
import {memoryStore} from './store';

/** How a lesson ends that adds so many samples: `LearnResult` without its text. */
export interface Lesson extends Omit<LearnResult, 'reason' | 'rate'> {
  added: number;
}

/** What the self-test learns with: an engine of head/base.tflite, made with `BASE`; the files of `head`; the content of the model. */
export interface Teaching {
  engine: Engine;
  read: ReadFile;
  model?: ArrayBuffer;
}

const FAR = 1e-4; // of the largest number of a head
const NEAR = 0.02; // of losses and qualities
const FEW = 2.5; // samples, of those that a quality is a share of: one on the edge may fall to either side
const DECIDED = ['kept', 'cause', 'share', 'samples', 'heldOut', 'steps'] as const;
const MEASURED = [
  'lossBefore',
  'lossAfter',
  'correctedBefore',
  'correctedAfter',
  'guardBefore',
  'guardAfter',
  'heldOutBefore',
  'heldOutAfter',
] as const;

/** What is wrong, in words; nothing where all is as it should be. `read` gives the content of a file of the folder goldens. */
export async function checkLearning({engine, read: readHead, model}: Teaching, read: ReadFile): Promise<string[]> {
  if (model) checkFile(DESCRIPTION.files['base.tflite'], model, 'base.tflite');
  const store = memoryStore();
  const open = () => HeadLearner.open(engine, readHead, store);
  const learner = await open();
  const wrong = await checkFeatures(learner, read);
  const {head: shipped} = learner;
  const wanted = new Float32Array(await read('learning.heads'));
  wrong.push(...compare('the first lesson', FIRST_LESSON, await teach(learner, FIRST_LESSON, await read('learning.samples'))));
  const learned = flatten(learner);
  const [off, most] = [findDistance(learned, wanted), findDistance(wanted, wanted.map(() => 0))];
  if (!(off <= FAR * most)) wrong.push(`the learned head is off by ${off}, its largest number is ${most}`);
  wrong.push(...compare('the bad lesson', BAD_LESSON, await teach(learner, BAD_LESSON, await read('learning.bad'))));
  if (!same(flatten(learner), learned)) wrong.push('after a lesson that is refused another head answers');
  if (!same(flatten(await open()), learned)) wrong.push('what was learned is gone when it is opened again');
  const content = store.files.get(HEAD_FILE);
  if (content) content[content.length >> 1]! ^= 1;
  const damaged = await open();
  if (damaged.hasLearned || damaged.head.weights.some((value, at) => value !== shipped.weights[at])) {
    wrong.push('a damaged head answers in place of the shipped one');
  }
  await learner.forget();
  const forgot = !learner.hasLearned && !learner.samples && !store.files.size;
  if (!forgot || !same(flatten(learner), flatten(damaged))) wrong.push('after forget another head than the shipped one answers');
  return wrong;
}

/** The features of each golden are those that edgeship computed. */
async function checkFeatures(learner: HeadLearner, read: ReadFile): Promise<string[]> {
  const all = new Float32Array(await read('learning.features'));
  const {features: size} = DESCRIPTION;
  const wrong: string[] = [];
  if (all.length !== size * CONTRACT.cases.length) return [`learning.features has ${all.length} numbers`];
  for (const [at, {name}] of CONTRACT.cases.entries()) {
    const tensors = BASE.inputs.map(async (input) => new Float32Array(await read(`${name}.${input.name}.tensor`)));
    const found = await learner.computeTensorFeatures(await Promise.all(tensors));
    const off = findDistance(found, all.subarray(at * size, (at + 1) * size));
    if (!(off <= TOLERANCE)) wrong.push(`the features of ${name} are off by ${off}, allowed are ${TOLERANCE}`);
  }
  return wrong;
}

async function teach(learner: HeadLearner, {added: count}: Lesson, content: ArrayBuffer): Promise<LearnResult> {
  const numbers = new Float32Array(content);
  const {features, outputs} = DESCRIPTION;
  if (numbers.length !== count * (features + outputs)) throw new Error(`the samples of a lesson have ${numbers.length} numbers`);
  const samples: Samples = {count, features: numbers.slice(0, count * features), target: numbers.slice(count * features)};
  await learner.collectFeatures(samples);
  return learner.learn();
}

function compare(what: string, wanted: Lesson, found: LearnResult): string[] {
  // Where the loss must rise, how far it does hangs on where a device's numbers end.
  const near = wanted.cause === 'loss' ? MEASURED.filter((name) => name.endsWith('Before')) : MEASURED;
  const differs = [
    ...DECIDED.filter((name) => found[name] !== wanted[name]),
    ...near.filter((name) => !isNear(found[name], wanted[name], Math.max(NEAR, FEW / countBehind(name, wanted)))),
  ];
  return differs.map((name) => `${what} ends with ${name} ${found[name]}, not ${wanted[name]}`);
}

/** Of how many samples a figure is a share. */
function countBehind(name: (typeof MEASURED)[number], {samples, heldOut}: Lesson): number {
  if (name.startsWith('loss')) return Infinity;
  if (name.startsWith('guard')) return DESCRIPTION.guard;
  return name.startsWith('heldOut') ? heldOut : samples - heldOut;
}

function isNear(found: number | null, wanted: number | null, share: number): boolean {
  if (found === null || wanted === null) return found === wanted;
  return Math.abs(found - wanted) <= share * Math.max(1, Math.abs(wanted));
}

function flatten({head: {weights, bias}}: HeadLearner): Float32Array {
  const all = new Float32Array(weights.length + bias.length);
  all.set(weights);
  all.set(bias, weights.length);
  return all;
}

const same = (one: Float32Array, other: Float32Array): boolean =>
  one.length === other.length && one.every((value, at) => value === other[at]);

/** The largest difference; infinite where the lengths differ. */
function findDistance(one: Float32Array, other: Float32Array): number {
  if (one.length !== other.length) return Infinity;
  return one.reduce((most, value, at) => Math.max(most, Math.abs(value - other[at]!)), 0);
}
