/** The self-test: this very browser must give the goldens' answers, within the tolerance that the bundle states. */
import type {RawPicture} from './bundle/contract';
import {type Artifact, figure, type Manifest} from './bundle/manifest';
import type {NumpyArray} from './bundle/npz';
import {enlarge, type PictureInput, toPicture, toTensor} from './preprocess';
import type {Opened, Tensors} from './protocol';
import {argmax, percentile} from './stats';

export interface OutputResult {
  /** The largest difference from what the artifact gave when the bundle was made. */
  maxAbsError: number;
  tolerance: number;
  /** The largest difference from the server model. */
  maxAbsErrorServer: number;
  /** The share of samples with the server model's answer; null where the output is no row of scores. */
  agreement: number | null;
  passed: boolean;
}

export interface SelfTest {
  schema: 1;
  kind: 'edgeship-selftest';
  bundle: string;
  artifact: string;
  artifactDigest: string;
  backend: string;
  engine: string;
  userAgent: string;
  when: string;
  samples: number;
  passed: boolean;
  outputs: Record<string, OutputResult>;
  /** Whether every golden survived the way to a picture and back, and raw ones gave their tensors; null where the inputs are no pictures. */
  preprocessing: boolean | null;
  /** How many raw goldens were replayed; of pictures only. */
  rawSamples: number;
  /** The raw goldens that did not become their tensors. */
  failures: Failure[];
  latency: {runs: number; p50Ms: number; p90Ms: number; meanMs: number; minMs: number; isolated: boolean} | null;
  loadMs: number;
  firstMs: number;
  /** The artifact's accuracy as the bundle has it, for reference. */
  accuracy: number | null;
}

export interface Failure {
  case: string;
  what: 'tensor';
  detail: string;
}

export interface Goldens {
  inputs: Record<string, NumpyArray>;
  /** The server model's answers. */
  server: Record<string, NumpyArray>;
  /** What each artifact gave when the bundle was made, by artifact. */
  own: Record<string, Record<string, NumpyArray>>;
  /** Pictures as an app has them, by input; downloaded when the self-test needs them, after the first prediction. */
  raw: () => Promise<Record<string, RawPicture[]>>;
}

/**
 * Compare one output with its goldens. `own` is missing where no runtime for the artifact was installed at the time.
 * The samples in `clear` must also keep their answer.
 */
export function compare(
  found: ArrayLike<number>, own: ArrayLike<number> | undefined, server: NumpyArray, tolerance: number | undefined,
  clear: number[] = [],
): OutputResult {
  const reference = own ?? server.data;
  const allowed = tolerance ?? 1e-3 * Math.max(spread(reference), 1e-6);
  const maxAbsError = difference(found, reference);
  return {
    maxAbsError,
    tolerance: allowed,
    maxAbsErrorServer: difference(found, server.data),
    agreement: agreement(found, server),
    // Written so that a NaN fails.
    passed: maxAbsError <= allowed && clear.every((index) => answer(found, server, index) === answer(reference, server, index)),
  };
}

/** The largest absolute difference; infinite where the lengths differ or where only one side is NaN. */
export function difference(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  if (found.length !== wanted.length) return Infinity;
  let worst = 0;
  for (let index = 0; index < found.length; index++) {
    const [a, b] = [found[index]!, wanted[index]!];
    if (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const error = Math.abs(a - b);
    worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
  }
  return worst;
}

/** Whether a picture of each golden becomes that golden again; five times as large where an area's mean is that of its parts. */
export function checkPreprocessing(goldens: NumpyArray, input: PictureInput): boolean {
  const size = goldens.data.length / (goldens.shape[0] ?? 1);
  // Inverting is decided by the rim, which may be bright in a sample too: it is the training data's own, so it stays.
  const how = {...input, steps: input.steps.filter(({step}) => step !== 'invert')};
  const times = input.steps.some((step) => step.step === 'resize' && step.resampler === 'area') ? 5 : 1;
  const step = Math.max(...input.steps.flatMap((item) => (item.step === 'affine' ? item.multiply.map(Math.abs) : [])));
  return Array.from({length: goldens.shape[0] ?? 0}, (_, index) => goldens.data.slice(index * size, (index + 1) * size)).every(
    (sample) => difference(toTensor(enlarge(toPicture(sample, how), times), how), sample) <= step / 2 + 1e-6,
  );
}

/** How many goldens the model is run with. */
export function countGoldens({inputs}: Goldens): number {
  return Object.values(inputs)[0]?.shape[0] ?? 0;
}

/** The raw goldens that do not become their tensors to the byte. */
export function checkRaw(pictures: readonly RawPicture[], input: PictureInput): Failure[] {
  return pictures.flatMap(({name, orientation, tensor, ...pixels}) => {
    const found = new Uint8Array(toTensor(pixels, input, orientation).buffer);
    const first = found.length === tensor.length ? found.findIndex((byte, index) => byte !== tensor[index]) : 0;
    return first < 0 ? [] : [{case: name, what: 'tensor', detail: `number ${Math.floor(first / 4)} of its tensor is another one`}];
  });
}

/** The result that is shown, and that `edgeship report --add` takes in. */
export function result(
  manifest: Manifest, artifact: Artifact, opened: Opened, goldens: Goldens, run: {outputs: Tensors; raw: Record<string, RawPicture[]>; firstMs: number},
): SelfTest {
  const own = goldens.own[artifact.id];
  const golden = own ? manifest.goldens.artifacts[artifact.id] : undefined;
  const outputs = Object.fromEntries(
    Object.entries(goldens.server).map(([name, server]) => [
      name, compare(run.outputs[name]?.data ?? [], own?.[name]?.data, server, golden?.tolerance?.[name], golden?.clear?.[name]),
    ]),
  );
  const described = Object.entries(manifest.pictures).filter(([name]) => goldens.inputs[name]);
  const failures = described.flatMap(([name, how]) => checkRaw(run.raw[name] ?? [], how));
  const back = described.every(([name, how]) => checkPreprocessing(goldens.inputs[name]!, how));
  return {
    schema: 1,
    kind: 'edgeship-selftest',
    bundle: manifest.source ?? manifest.digest,
    artifact: artifact.id,
    artifactDigest: artifact.digest,
    backend: opened.backend,
    engine: opened.engine,
    userAgent: navigator.userAgent,
    when: new Date().toISOString(),
    samples: countGoldens(goldens),
    passed: Object.values(outputs).every(({passed}) => passed) && back && !failures.length,
    outputs,
    preprocessing: described.length ? back && !failures.length : null,
    rawSamples: Math.max(0, ...Object.values(run.raw).map(({length}) => length)),
    failures,
    latency: null,
    loadMs: opened.loadMs,
    firstMs: run.firstMs,
    accuracy: figure(manifest, artifact.id, 'accuracy'),
  };
}

/** What is downloaded: from a channel, whose manifest stays with its maker, it is a client's that replayed the raw goldens. */
export function toFile(test: SelfTest, manifest: Manifest): string {
  const client = {...test, client: 'web', backend: '', engine: `${test.backend}: ${test.engine}`};
  return `${JSON.stringify(manifest.fromChannel ? client : test, null, 1)}\n`;
}

/** The same with the times of single inferences. */
export function withLatency(test: SelfTest, times: number[]): SelfTest {
  const latency = {
    runs: times.length,
    p50Ms: percentile(times, 0.5),
    p90Ms: percentile(times, 0.9),
    meanMs: times.reduce((sum, value) => sum + value, 0) / times.length,
    minMs: Math.min(...times),
    isolated: globalThis.crossOriginIsolated,
  };
  return {...test, latency};
}

function spread(values: ArrayLike<number>): number {
  const finite = Array.from(values).filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  return Math.max(high - low, Math.abs(high), Math.abs(low));
}

function agreement(found: ArrayLike<number>, server: NumpyArray): number | null {
  const [count, classes] = server.shape;
  if (server.shape.length !== 2 || !count || !classes || classes < 2 || found.length !== server.data.length) return null;
  let same = 0;
  for (let index = 0; index < count; index++) same += Number(answer(found, server, index) === answer(server.data, server, index));
  return same / count;
}

/** The class of the best score of a sample; `like` has the shape. */
function answer(values: ArrayLike<number>, like: NumpyArray, index: number): number {
  const classes = like.shape[1]!;
  return argmax(Array.prototype.slice.call(values, index * classes, (index + 1) * classes));
}
