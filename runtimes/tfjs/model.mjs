// TF.js on the wasm backend under Node: the packages, and a model from files.
import fs from 'node:fs';
import path from 'node:path';
import {createRequire} from 'node:module';
import {Graph, artifacts, signature} from './graph.mjs';

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

/** The file of a shard. Throws for one that is not a regular file in the model's folder: a link, a pipe, another folder's. */
function place(folder, shard) {
  const named = `weight file ${`${JSON.stringify(shard)}`.slice(0, 200)}`;
  const parts = typeof shard === 'string' ? shard.split(/[\\/]/) : ['..'];
  if (parts.includes('..') || path.isAbsolute(shard)) throw new Error(`${named} does not stay in the folder of the model`);
  let file = folder;
  for (const part of parts.slice(0, -1)) {
    file = path.join(file, part);
    if (!fs.lstatSync(file).isDirectory()) throw new Error(`${named} goes through a link`);
  }
  file = path.join(file, parts.at(-1));
  if (!fs.lstatSync(file).isFile()) throw new Error(`${named} is not a regular file`);
  return file;
}

/** Open `model.json` (or the folder that holds it) and its shards. */
export async function load({tf, loadGraphModel}, location) {
  const file = fs.statSync(location).isDirectory() ? path.join(location, 'model.json') : location;
  const json = JSON.parse(fs.readFileSync(file, 'utf8'));
  const named = signature(json, file);
  const shards = json.weightsManifest.flatMap((group) => group.paths);
  if (new Set(shards).size < shards.length) throw new Error('it names a weight file twice');
  const bytes = Buffer.concat(shards.map((shard) => fs.readFileSync(place(path.dirname(file), shard))));
  const weights = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return new Graph(tf, await loadGraphModel({load: async () => artifacts(json, weights)}), named);
}
