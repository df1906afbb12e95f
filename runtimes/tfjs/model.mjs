// A TF.js graph model on the wasm backend, addressed by the names of its signature.
import fs from 'node:fs';
import path from 'node:path';
import {createRequire} from 'node:module';

/** What each dtype of a signature becomes in TF.js, which computes in float32, int32 and bool only. */
const DTYPES = {
  DT_FLOAT: 'float32', DT_HALF: 'float32', DT_DOUBLE: 'float32', DT_INT32: 'int32', DT_INT64: 'int32', DT_UINT8: 'int32',
  DT_INT8: 'int32', DT_INT16: 'int32', DT_BOOL: 'bool',
};
const NUMPY = {float32: '<f4', int32: '<i4', bool: '|b1'};

/** TF.js with its wasm backend, from the packages installed in `modules`. Throws where another backend got active. */
export async function start(modules) {
  const require = createRequire(path.join(modules, 'package.json'));
  const tf = require('@tensorflow/tfjs-core');
  const {loadGraphModel} = require('@tensorflow/tfjs-converter');
  const {setWasmPaths} = require('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm'))}/`);
  await tf.setBackend('wasm');
  await tf.ready();
  if (tf.getBackend() !== 'wasm') throw new Error(`the active backend is ${tf.getBackend()}, not wasm`);
  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  return {tf, loadGraphModel, engine: {backend: tf.getBackend(), simd, threads: 1, node: process.version}};
}

export class Model {
  #tf;
  #graph;
  #signature;
  #names;
  #controlFlow = false;

  /** Open `model.json` (or the folder that holds it) and its shards. */
  static async load({tf, loadGraphModel}, location) {
    const file = fs.statSync(location).isDirectory() ? path.join(location, 'model.json') : location;
    const json = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (json.format !== 'graph-model') throw new Error(`${file} is a ${json.format}, and only graph models are run`);
    if (!json.signature?.inputs) throw new Error(`${file} has no signature, so its inputs have no names`);
    const graph = await loadGraphModel({load: async () => artifacts(json, path.dirname(file))});
    return new Model(tf, graph, json.signature);
  }

  constructor(tf, graph, signature) {
    this.#tf = tf;
    this.#graph = graph;
    this.#signature = signature;
    this.#names = Object.keys(signature.outputs);
    this.inputs = Object.entries(signature.inputs).map(spec);
    this.outputs = Object.entries(signature.outputs).map(spec);
  }

  /** Outputs of a batch of any size; a fixed batch axis is looped over, its last piece filled up and cut again. */
  async run(feeds) {
    const sizes = new Set(this.inputs.map(({shape}) => shape[0] ?? null));
    const fixed = sizes.size === 1 ? [...sizes][0] : null;
    const count = Object.values(feeds)[0].shape[0];
    if (!fixed || fixed === count) return this.infer(feeds);
    const parts = [];
    for (let start = 0; start < count; start += fixed) {
      const real = Math.min(fixed, count - start);
      parts.push(slice(await this.infer(slice(feeds, start, real, fixed)), 0, real, real));
    }
    return Object.fromEntries(this.#names.map((name) => [name, concatenate(parts.map((part) => part[name]))]));
  }

  /** One inference of exactly the batch given. */
  async infer(feeds) {
    const engine = this.#tf.engine();
    engine.startScope();
    try {
      const tensors = {};
      for (const {name, dtype} of this.inputs) {
        const {data, shape} = feeds[name];
        tensors[this.#signature.inputs[name].name] = this.#tf.tensor(data, shape, dtype);
      }
      const results = await this.#execute(tensors, this.#names.map((name) => this.#signature.outputs[name].name));
      const outputs = [results].flat();
      return Object.fromEntries(outputs.map((tensor, index) => [
        this.#names[index], {dtype: NUMPY[tensor.dtype], shape: tensor.shape, data: tensor.dataSync()},
      ]));
    } finally {
      engine.endScope();
    }
  }

  /** TF.js runs loops and conditions only asynchronously, and says so when it meets one. */
  async #execute(tensors, outputs) {
    if (!this.#controlFlow) {
      try {
        return this.#graph.execute(tensors, outputs);
      } catch (error) {
        if (!/executeAsync/.test(error.message)) throw error;
        this.#controlFlow = true;
      }
    }
    return this.#graph.executeAsync(tensors, outputs);
  }
}

function artifacts(json, folder) {
  const files = json.weightsManifest.flatMap((group) => group.paths);
  const bytes = Buffer.concat(files.map((file) => fs.readFileSync(path.join(folder, file))));
  return {
    modelTopology: json.modelTopology, format: json.format, signature: json.signature,
    modelInitializer: json.modelInitializer, initializerSignature: json.initializerSignature,
    userDefinedMetadata: json.userDefinedMetadata,
    weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
  };
}

/** A TensorSpec of edgeship as JSON. */
function spec([name, {dtype, tensorShape}]) {
  if (!DTYPES[dtype]) throw new Error(`tensor ${name} is ${dtype}, which TF.js has no numbers for`);
  const shape = (tensorShape?.dim ?? []).map(({size}) => (Number(size) < 0 ? null : Number(size)));
  return {name, shape, dtype: DTYPES[dtype], quantization: null};
}

/** `real` samples from `start`, filled up to `size` with the last of them. */
function slice(arrays, start, real, size) {
  return Object.fromEntries(Object.entries(arrays).map(([name, {dtype, shape, data}]) => {
    const step = data.length / shape[0];
    const piece = new data.constructor(size * step);
    piece.set(data.subarray(start * step, (start + real) * step));
    for (let i = real; i < size; i++) piece.copyWithin(i * step, (real - 1) * step, real * step);
    return [name, {dtype, shape: [size, ...shape.slice(1)], data: piece}];
  }));
}

function concatenate(arrays) {
  const [{dtype, shape, data}] = arrays;
  const all = new data.constructor(arrays.reduce((sum, array) => sum + array.data.length, 0));
  let filled = 0;
  for (const array of arrays) {
    all.set(array.data, filled);
    filled += array.data.length;
  }
  return {dtype, shape: [arrays.reduce((sum, array) => sum + array.shape[0], 0), ...shape.slice(1)], data: all};
}
