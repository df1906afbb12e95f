/**
 * node build/nodeSelftest.js RUNTIME MODEL GOLDENS [DEVICE]: prints the result as JSON; exit code 0 where all passed.
 * RUNTIME: the path of libtensorflowlite_c, or `litert` (LiteRT.js), or `tfjs` (MODEL is then the folder of model.json).
 */
import {readFile, stat} from 'node:fs/promises';
import {join} from 'node:path';

import type {Engine} from './core';
import {selfTest} from './selftest';

const read = async (path: string): Promise<ArrayBuffer> => new Uint8Array(await readFile(path)).buffer;

/** The content of the model's files: a `.tflite`, or `model.json` and its shards. */
async function readModel(path: string): Promise<ArrayBuffer> {
  if (!(await stat(path)).isDirectory()) return read(path);
  const topology = await readFile(join(path, 'model.json'));
  const groups: {paths: string[]}[] = JSON.parse(topology.toString()).weightsManifest;
  const shards = groups.flatMap(({paths}) => paths).map((shard) => readFile(join(path, shard)));
  return new Uint8Array(Buffer.concat([topology, ...(await Promise.all(shards))])).buffer;
}

/** The engine, or one that says with each golden why there is none. Only its own package is loaded. */
async function openEngine(runtime: string, path: string, model: Uint8Array): Promise<Engine> {
  try {
    if (runtime === 'tfjs') return await (await import('./nodeRuntimes.js')).openTfjs(path);
    if (runtime === 'litert') return await (await import('./nodeRuntimes.js')).openLiteRt(model);
    return (await import('./engineNode.js')).nodeEngine(runtime, model);
  } catch (error) {
    return {name: 'none', run: () => Promise.reject(error), close: () => undefined};
  }
}

async function main(runtime: string, model: string, goldens: string, device = 'this device'): Promise<void> {
  const bytes = await readModel(model);
  const engine = await openEngine(runtime, model, new Uint8Array(bytes));
  const result = await selfTest(engine, (name) => read(join(goldens, name)), device, bytes);
  console.log(JSON.stringify(result, null, 1));
  process.exitCode = result.passed ? 0 : 1;
}

const [runtime, model, goldens, device] = process.argv.slice(2);
if (runtime && model && goldens) {
  void main(runtime, model, goldens, device);
} else {
  console.error('usage: nodeSelftest.js RUNTIME MODEL GOLDENS [DEVICE]');
  process.exitCode = 2;
}
