/** The web worker: TF.js and the model live here, so that the page stays smooth while they work. */
import {type GraphModel, loadGraphModel} from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import type {Ask, Backend, Opened, Reply, Tensor, Tensors} from './protocol';

// Only the backend that is asked for is downloaded.
const BACKENDS: Record<Backend, () => Promise<unknown>> = {
  wasm: () => import('./backends/wasm'),
  webgl: () => import('./backends/webgl'),
  cpu: () => import('./backends/cpu'),
};

interface Signature {
  inputs: Record<string, {name: string}>;
  outputs: Record<string, {name: string}>;
}

let model: GraphModel | undefined;
let signature: Signature = {inputs: {}, outputs: {}};
let controlFlow = false;

async function open(backend: Backend, text: string, weights: ArrayBuffer): Promise<Opened> {
  await start(backend);
  const json = JSON.parse(text);
  if (json.format !== 'graph-model' || !json.signature?.inputs) throw new Error('The model is no TF.js graph model with named inputs.');
  signature = json.signature;
  const begin = performance.now();
  model = await loadGraphModel({
    load: async () => ({
      modelTopology: json.modelTopology,
      format: json.format,
      signature: json.signature,
      userDefinedMetadata: json.userDefinedMetadata,
      modelInitializer: json.modelInitializer,
      initializerSignature: json.initializerSignature,
      weightSpecs: json.weightsManifest.flatMap((group: {weights: unknown[]}) => group.weights),
      weightData: weights,
    }),
  });
  return {backend, engine: await engine(backend), loadMs: performance.now() - begin};
}

/** Make one backend the active one. Throws where the browser has it not, or where another got active instead. */
async function start(backend: Backend): Promise<void> {
  if (backend === 'wasm' && typeof WebAssembly === 'undefined') throw new Error('This browser has no WebAssembly.');
  await BACKENDS[backend]();
  const ready = await tf.setBackend(backend).catch(() => false);
  await tf.ready().catch(() => undefined);
  if (!ready || tf.getBackend() !== backend) throw new Error(`This browser does not offer ${backend}.`);
}

async function engine(backend: Backend): Promise<string> {
  if (backend === 'wasm') {
    const {threads, simd} = await (await import('./backends/wasm')).describe();
    return `${simd ? 'SIMD' : 'no SIMD'}, ${threads} thread${threads === 1 ? '' : 's'}`;
  }
  if (backend === 'cpu') return 'JavaScript, 1 thread';
  const context = new OffscreenCanvas(1, 1).getContext('webgl2');
  const details = context?.getExtension('WEBGL_debug_renderer_info');
  return String((details && context?.getParameter(details.UNMASKED_RENDERER_WEBGL)) || 'WebGL');
}

/** One inference of exactly the batch given, with reading the result back. */
async function infer(feeds: Tensors): Promise<Tensors> {
  if (!model) throw new Error('No model is open.');
  const names = Object.keys(signature.outputs);
  const tensors = Object.fromEntries(
    Object.entries(feeds).map(([name, {data, shape, dtype}]) => {
      const place = signature.inputs[name];
      if (!place) throw new Error(`The model has no input ${name}.`);
      return [place.name, tf.tensor(data, shape, dtype)];
    }),
  );
  try {
    const results = await execute(model, tensors, names.map((name) => signature.outputs[name]!.name));
    const read = await Promise.all(results.map(async (tensor) => ({shape: tensor.shape, dtype: tensor.dtype, data: await tensor.data()})));
    tf.dispose(results);
    return Object.fromEntries(read.map((tensor, index) => [names[index]!, tensor as Tensor]));
  } finally {
    tf.dispose(tensors);
  }
}

/** Loops and conditions can only be run asynchronously; TF.js says so when it meets one. */
async function execute(graph: GraphModel, tensors: tf.NamedTensorMap, outputs: string[]): Promise<tf.Tensor[]> {
  if (!controlFlow) {
    try {
      return tf.tidy(() => [graph.execute(tensors, outputs)].flat());
    } catch (error) {
      if (!String(error).includes('executeAsync')) throw error;
      controlFlow = true;
    }
  }
  return [await graph.executeAsync(tensors, outputs)].flat();
}

/** Single inferences for some seconds, `least` of them in any case, after three that are not counted. */
async function time(feeds: Tensors, seconds: number, least: number): Promise<number[]> {
  for (let warm = 0; warm < 3; warm++) await infer(feeds);
  const samples: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (samples.length < least || performance.now() < end) {
    const begin = performance.now();
    await infer(feeds);
    samples.push(performance.now() - begin);
  }
  return samples;
}

async function answer(ask: Ask): Promise<unknown> {
  if (ask.operation === 'prepare') return start(ask.backend).then(() => null);
  if (ask.operation === 'open') return open(ask.backend, ask.model, ask.weights);
  if (ask.operation === 'time') return {ms: await time(ask.feeds, ask.seconds, ask.least)};
  const begin = performance.now();
  const outputs = await infer(ask.feeds);
  return {outputs, ms: performance.now() - begin};
}

// One request after the other: two inferences at a time would spoil each other's timing.
let last: Promise<unknown> = Promise.resolve();
self.onmessage = ({data: ask}: MessageEvent<Ask>) => {
  last = last.then(() => answer(ask)).then(
    (result) => self.postMessage({id: ask.id, answer: result} satisfies Reply),
    (error: unknown) => self.postMessage({id: ask.id, error: error instanceof Error ? error.message : String(error)} satisfies Reply),
  );
};
