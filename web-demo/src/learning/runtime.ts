/** The base and the training step in ONNX Runtime Web, on WebAssembly: loaded when somebody teaches, and never before. */
import * as ort from 'onnxruntime-web/wasm';
import type {Bundle} from '../bundle/bundle';
import type {NumpyArray} from '../bundle/npz';
import type {Head, Samples} from './arithmetic';
import {base, type Description, FOLDER} from './package';

/** What ONNX Runtime calls dtypes by the arrays that hold them. */
const ARRAYS = {
  float32: Float32Array, int32: Int32Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, bool: Uint8Array,
} as const;

export class Models {
  private constructor(private readonly description: Description, private readonly base: ort.InferenceSession, private readonly step: ort.InferenceSession) {}

  /** Open both. Throws where a file is not the one that the manifest promises. */
  static async open(bundle: Bundle, description: Description): Promise<Models> {
    const folder = new URL('./ort/', document.baseURI).href;
    ort.env.wasm.wasmPaths = {mjs: `${folder}ort-wasm-simd-threaded.mjs`, wasm: `${folder}ort-wasm-simd-threaded.wasm`};
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = 'error';
    const open = async (name: string) => ort.InferenceSession.create(await bundle.file(FOLDER + name), {executionProviders: ['wasm']});
    const first = await open(base(description)!.file); // one after the other: both start the same WebAssembly
    return new Models(description, first, await open(description.steps.onnx!));
  }

  /** The features of one sample. Throws where one is no finite number. */
  async features(inputs: Record<string, Pick<NumpyArray, 'shape' | 'data'>>): Promise<Float32Array> {
    const {inputs: specs, output} = base(this.description)!;
    const feeds = Object.fromEntries(specs.map(({name, dtype}) => {
      const array = inputs[name];
      const kind = ARRAYS[dtype as keyof typeof ARRAYS];
      if (!array || !kind) throw new Error(`The model's input ${name} (${dtype}) cannot be fed here.`);
      return [name, new ort.Tensor(dtype as 'float32', kind.from(array.data as Float32Array) as Float32Array, array.shape)];
    }));
    const found = (await this.base.run(feeds))[output]!.data as Float32Array;
    if (!found.every(Number.isFinite)) throw new Error('These inputs give features that are no finite numbers; nothing is learned from them.');
    return Float32Array.from(found);
  }

  /** The head after one step of exactly one batch. */
  async takeStep({features, target, count}: Samples, rate: number, {weights, bias}: Head): Promise<Head> {
    const {features: size, outputs} = this.description;
    const feeds = {
      features: new ort.Tensor('float32', features, [count, size]),
      target: new ort.Tensor('float32', target, [count, outputs]),
      rate: new ort.Tensor('float32', [rate], []),
      weights: new ort.Tensor('float32', weights, [size, outputs]),
      bias: new ort.Tensor('float32', bias, [outputs]),
    };
    const found = await this.step.run(feeds);
    return {weights: Float32Array.from(found.new_weights!.data as Float32Array), bias: Float32Array.from(found.new_bias!.data as Float32Array)};
  }
}
