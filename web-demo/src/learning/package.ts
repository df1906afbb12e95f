/** The `learning/` of a bundle: what it says, its shipped head, and the samples that travel with it. */
import type {Bundle} from '../bundle/bundle';
import type {TensorSpec} from '../bundle/manifest';
import type {NumpyArray} from '../bundle/npz';
import type {Head, Samples} from './arithmetic';

export const FOLDER = 'learning/';
export const FILE = `${FOLDER}learning.json`;
const SCHEMA = 1;

export interface Description {
  schema: number;
  output: string;
  activation: 'softmax' | 'sigmoid' | 'linear';
  features: number;
  outputs: number;
  batch: number;
  rate: number;
  bases: {file: string; format: string; variant: string; inputs: TensorSpec[]; output: string}[];
  steps: Record<string, string>;
  samples: {scale: number; offset: number; source: string; replay: number; guard: number};
  head: string;
  replay: string;
}

export interface Package {
  description: Description;
  head: Head;
  replay: Samples;
  guard: Samples;
}

/** What a bundle says of learning; undefined where it has nothing that this page can teach. */
export async function describe(bundle: Bundle): Promise<Description | undefined> {
  if (!bundle.has(FILE)) return undefined;
  const found = JSON.parse(new TextDecoder().decode(await bundle.file(FILE))) as Description;
  const usable = found.schema === SCHEMA && found.activation === 'softmax' && found.steps.onnx !== undefined;
  return usable && base(found) ? found : undefined;
}

/** The base that a page runs: in float32, as it computes the same wherever it runs. */
export function base({bases}: Description): Description['bases'][number] | undefined {
  return bases.find(({format, variant}) => format === 'onnx' && variant === 'float32');
}

/** The shipped head and the samples. Throws where a file is not the one that the manifest promises. */
export async function openPackage(bundle: Bundle, description: Description): Promise<Package> {
  const [head, stored] = await Promise.all([description.head, description.replay].map((name) => bundle.arrays(FOLDER + name)));
  const {scale, offset} = description.samples;
  const samples = (name: string): Samples => {
    const features = array(stored, `${name}_features`);
    const restored = Float32Array.from(features.data, (value) => Math.fround(Math.fround(value * Math.fround(scale)) + Math.fround(offset)));
    return {count: features.shape[0]!, features: restored, target: Float32Array.from(array(stored, `${name}_target`).data)};
  };
  const shipped = {weights: Float32Array.from(array(head, 'weights').data), bias: Float32Array.from(array(head, 'bias').data)};
  return {description, head: shipped, replay: samples('replay'), guard: samples('guard')};
}

function array(arrays: Record<string, NumpyArray> | undefined, name: string): NumpyArray {
  const found = arrays?.[name];
  if (!found) throw new Error(`There is no ${name} in the files that this model learns with.`);
  return found;
}
