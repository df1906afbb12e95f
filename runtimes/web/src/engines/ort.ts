import * as ort from 'onnxruntime-web/wasm';
import {Refusal, download, versions, type Engine, type Model, type Wanted} from '../engine';
import type {Spec, Tensors} from '../wire';
import {identity} from './identity';

/** ONNX Runtime's names of dtypes, numpy's, and those of a TensorSpec. */
const DTYPES: Record<string, [string, string]> = {
  float32: ['<f4', 'float32'], float64: ['<f8', 'float64'], int64: ['<i8', 'int64'], int32: ['<i4', 'int32'], uint32: ['<u4', 'uint32'],
  int16: ['<i2', 'int16'], uint16: ['<u2', 'uint16'], int8: ['|i1', 'int8'], uint8: ['|u1', 'uint8'], bool: ['|b1', 'bool'],
};

/** Start ONNX Runtime Web on WebAssembly; it has no start of its own, so a model of one Identity is opened and closed. */
export async function start({backend, threads}: Wanted): Promise<Engine> {
  const folder = new URL('./ort/', location.href).href;
  ort.env.wasm.wasmPaths = {mjs: `${folder}ort-wasm-simd-threaded.mjs`, wasm: `${folder}ort-wasm-simd-threaded.wasm`};
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  await (await open(identity())).release();
  const active = (): Record<string, unknown> => ({backend, simd: true, threads: ort.env.wasm.numThreads});
  const load = async (url: string): Promise<Model> => new Session(await open(new Uint8Array(await download(url))));
  return {version: versions['onnxruntime-web'], active, load, bytes: () => null};
}

function open(bytes: Uint8Array): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(bytes, {executionProviders: ['wasm'], graphOptimizationLevel: 'all'});
}

class Session implements Model {
  inputs: Spec[];
  outputs: Spec[];
  #session: ort.InferenceSession;

  constructor(session: ort.InferenceSession) {
    this.#session = session;
    this.inputs = session.inputMetadata.map(spec);
    this.outputs = session.outputMetadata.map(spec);
  }

  async infer(feeds: Tensors): Promise<Tensors> {
    const given = Object.fromEntries(this.inputs.map(({name, dtype}) => {
      const {data, shape} = feeds[name];
      return [name, new ort.Tensor(dtype as 'float32', data as Float32Array, shape)];
    }));
    const results = await this.#session.run(given);
    const outputs: Tensors = {};
    for (const {name} of this.outputs) {
      const {type, dims, data} = results[name];
      outputs[name] = {dtype: DTYPES[type][0], shape: [...dims], data: data as Float32Array};
    }
    return outputs;
  }
}

function spec(described: ort.InferenceSession.ValueMetadata): Spec {
  if (!described.isTensor || !DTYPES[described.type]) {
    throw new Refusal(`'${described.name}' is ${described.isTensor ? described.type : 'no tensor'}, which a page has no typed array for`);
  }
  // An axis is a number, or the name of a free one (an empty name where it has none).
  const shape = described.shape.map((size) => (typeof size === 'number' && size >= 0 ? size : null));
  return {name: described.name, shape, dtype: DTYPES[described.type][1], quantization: null};
}
