/** LiteRT.js and TF.js under Node, for the self-test: both are made for pages, in which nothing of this is needed. */
import {readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {runInThisContext} from 'node:vm';

import {CONTRACT, type ModelTensors} from './contract';
import type {Engine} from './core';
import {liteRtEngine} from './engineLiteRtJs';
import {tfjsEngine} from './engineTfjs';

// Only who runs them has their packages, so their types are not asked for. `require` finds CommonJS, `import` modules.
const resolve = (name: string): string => require.resolve(name);
const load = (path: string): any => require(path); // eslint-disable-line @typescript-eslint/no-explicit-any

let started: Promise<unknown> | undefined;

/** LiteRT.js on WebAssembly. `model`: the content of model.tflite; `expected`: the tensors that it must have. */
export async function openLiteRt(model: Uint8Array, expected: ModelTensors = CONTRACT): Promise<Engine> {
  const entry = resolve('@litertjs/core');
  const folder = join(dirname(dirname(entry)), 'wasm');
  const {loadLiteRt, loadAndCompile, Tensor} = await import(entry);
  // LiteRT.js loads its WebAssembly as a worker does, and that looks for its file as a script of Node does.
  Object.assign(globalThis, {
    self: globalThis,
    require,
    __dirname: folder,
    importScripts: (path: string) => runInThisContext(readFileSync(path, 'utf8'), {filename: path}),
  });
  await (started ??= loadLiteRt(`${folder}/`)); // once, however many models there are
  return liteRtEngine(await loadAndCompile(model, {accelerator: 'wasm'}), Tensor, expected);
}

/** TF.js on WebAssembly. `folder`: of model.json and its shards. */
export async function openTfjs(folder: string): Promise<Engine> {
  const tf = load('@tensorflow/tfjs-core');
  const {loadGraphModel} = load('@tensorflow/tfjs-converter');
  const {setWasmPaths} = load('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${dirname(resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm'))}/`);
  await tf.setBackend('wasm');
  const {weightsManifest, ...json} = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
  const groups: {paths: string[]; weights: object[]}[] = weightsManifest;
  const shards = groups.flatMap(({paths}) => paths.map((path) => readFileSync(join(folder, path))));
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  const artifacts = {...json, weightSpecs: groups.flatMap(({weights}) => weights), weightData};
  return tfjsEngine(await loadGraphModel({load: async () => artifacts}), tf.tensor);
}
