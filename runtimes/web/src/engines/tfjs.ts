import * as tf from '@tensorflow/tfjs-core';
import {loadGraphModel} from '@tensorflow/tfjs-converter';
import {Graph, artifacts, signature} from '../../../tfjs/graph.mjs';
import {download, versions, type Engine, type Model, type Wanted} from '../engine';

/** Start TF.js on a backend. Throws where another backend got active. */
export async function start({backend, threads}: Wanted): Promise<Engine> {
  const details = await BACKENDS[backend](threads);
  if (!(await tf.setBackend(backend))) throw new Error(`TF.js cannot start its backend ${backend} in this browser`);
  await tf.ready();
  const active = (): Record<string, unknown> => ({backend: tf.getBackend(), ...details()});
  return {version: versions['@tensorflow/tfjs-core'], active, load, bytes: () => tf.memory().numBytes};
}

type Details = () => Record<string, unknown>;
const BACKENDS: Record<string, (threads: number) => Promise<Details>> = {
  async wasm(threads) {
    const wasm = await import('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(new URL('./tfjs/', location.href).href);
    // Its threaded module takes ten times the memory, also with one thread.
    if (threads === 1) tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
    else wasm.setThreadsCount(threads);
    const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
    return () => ({simd, threads: threads === 1 ? 1 : wasm.getThreadsCount()});
  },
  async cpu() {
    await import('@tensorflow/tfjs-backend-cpu');
    return () => ({threads: 1});
  },
  async webgl() {
    await import('@tensorflow/tfjs-backend-webgl');
    return () => ({float16_only: tf.env().getBool('WEBGL_FORCE_F16_TEXTURES') || !tf.env().getBool('WEBGL_RENDER_FLOAT32_ENABLED')});
  },
  async webgpu() {
    await import('@tensorflow/tfjs-backend-webgpu');
    return () => ({});
  },
};

async function load(url: string): Promise<Model> {
  const json = JSON.parse(new TextDecoder().decode(await download(url)));
  const named = signature(json, 'model.json');
  const shards: string[] = json.weightsManifest.flatMap((group: {paths: string[]}) => group.paths);
  const parts = await Promise.all(shards.map((shard) => download(new URL(shard, url).href)));
  const weights = await new Blob(parts).arrayBuffer();
  return new Graph(tf, await loadGraphModel({load: async () => artifacts(json, weights)}), named) as Model;
}
