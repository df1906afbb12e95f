import {Tensor as LiteRtTensor, getGlobalLiteRt, loadAndCompile, loadLiteRt, supportsFeature, type CompiledModel, type TensorDetails} from '@litertjs/core';
import {Refusal, download, versions, type Engine, type Model, type Wanted} from '../engine';
import type {Spec, Tensors} from '../wire';

const NUMPY: Record<string, string> = {float32: '<f4', int32: '<i4', uint8: '|u1'};
const WHAT_TO_DO = 'make a variant with static_batch = true and io = "float32" for it';

/** Start LiteRT.js on WebAssembly (XNNPACK). */
export async function start({backend, threads}: Wanted): Promise<Engine> {
  if (!(await supportsFeature('relaxedSimd'))) throw new Error('this browser has no relaxed SIMD, which LiteRT.js needs here');
  await loadLiteRt(new URL('./litert/', location.href).href, {threads: threads > 1});
  let model: CompiledModel | null = null;
  const active = (): Record<string, unknown> => ({
    backend: model ? model.options.accelerator : backend, threads: threads > 1 ? getGlobalLiteRt().liteRtWasm.getThreadCount() : 1,
  });
  const load = async (url: string): Promise<Model> => {
    const bytes = new Uint8Array(await download(url));
    model = await compile(bytes, threads);
    return new Compiled(model);
  };
  return {version: versions['@litertjs/core'], active, load, bytes: () => null};
}

async function compile(bytes: Uint8Array, threads: number): Promise<CompiledModel> {
  try {
    return await loadAndCompile(bytes, {accelerator: 'wasm', cpuOptions: {numThreads: threads}});
  } catch (error) {
    if (/INT8|INT16|INT64|BOOL|Element type/i.test(String(error))) throw new Refusal(`LiteRT.js takes float32, int32 and uint8 inputs and outputs only: ${WHAT_TO_DO}`);
    throw error;
  }
}

class Compiled implements Model {
  inputs: Spec[];
  outputs: Spec[];
  #model: CompiledModel;

  constructor(model: CompiledModel) {
    this.#model = model;
    this.inputs = model.getInputDetails().map(spec);
    this.outputs = model.getOutputDetails().map(spec);
  }

  async infer(feeds: Tensors): Promise<Tensors> {
    const given = Object.fromEntries(this.inputs.map(({name}) => {
      const {data, shape} = feeds[name];
      return [name, new LiteRtTensor(data as Float32Array, [...shape])];
    }));
    let results: Record<string, LiteRtTensor> = {};
    try {
      results = await this.#model.run(given);
      const outputs: Tensors = {};
      for (const {name, dtype, shape} of this.outputs) {
        // A copy: what LiteRT gives lies in its own memory, which the next inference writes to.
        outputs[name] = {dtype: NUMPY[dtype], shape: shape as number[], data: (await results[name].data()).slice()};
      }
      return outputs;
    } finally {
      for (const tensor of [...Object.values(given), ...Object.values(results)]) tensor.delete();
    }
  }
}

function spec({name, dtype, shape}: TensorDetails): Spec {
  if (!NUMPY[dtype]) throw new Refusal(`LiteRT.js takes float32, int32 and uint8 only, and '${name}' is ${dtype}: ${WHAT_TO_DO}`);
  if ([...shape].some((size) => size < 0)) throw new Refusal(`LiteRT.js needs every shape fixed, and '${name}' is ${[...shape].join('x')}: ${WHAT_TO_DO}`);
  return {name, dtype, shape: [...shape], quantization: null};
}
