/** The engine of browsers: LiteRT.js, the package `@litertjs/core`. It takes float32, int32 and uint8 in fixed shapes only. */
import {CONTRACT, type ModelTensors} from './contract';
import type {Edge, Engine} from './core';

/** The part of LiteRT.js's `Tensor` that is called. */
export interface LiteRtTensor {
  data(): Promise<ArrayBufferView>;
  delete(): void;
}

/** The part of LiteRT.js's `CompiledModel` that is called. */
export interface LiteRtModel<T extends LiteRtTensor> {
  getInputDetails(): readonly LiteRtDetails[];
  getOutputDetails(): readonly LiteRtDetails[];
  run(inputs: Record<string, T>): Promise<Record<string, T>>;
}

interface LiteRtDetails {
  readonly name: string;
  readonly dtype: string;
  readonly shape: Iterable<number>;
}

/**
 * `model`: of `loadAndCompile`; `Tensor`: LiteRT.js's class; `expected`: the tensors that the model must have. Throws an Error where it is
 * not the model of this client.
 */
export function liteRtEngine<T extends LiteRtTensor>(
  model: LiteRtModel<T>,
  Tensor: new (data: never, shape: number[]) => T, // `never`: releases of TypeScript differ in their typed arrays
  expected: ModelTensors = CONTRACT,
): Engine {
  const inputs = expected.inputs.map(({name, edge}) => requireFit(name, edge, model.getInputDetails()));
  const outputs = expected.outputs.map(({name, edge}) => requireFit(name, edge, model.getOutputDetails()));
  return {
    name: 'LiteRT.js',
    async run(given) {
      const tensors: Record<string, T> = {};
      inputs.forEach(({name, shape}, at) => {
        tensors[name] = new Tensor(numbersOf(expected.inputs[at]!.edge, given[at]!) as never, shape);
      });
      let results: Record<string, T> = {};
      try {
        results = await model.run(tensors);
        const taken: ArrayBuffer[] = [];
        for (const {name} of outputs) taken.push(copyOf(await results[name]!.data()));
        return taken;
      } finally {
        for (const tensor of [...Object.values(tensors), ...Object.values(results)]) tensor.delete();
      }
    },
    close() {
      // The model is whoever's compiled it.
    },
  };
}

function requireFit(name: string, edge: Edge, all: readonly LiteRtDetails[]): {name: string; shape: number[]} {
  const found = all.find((details) => details.name === name);
  const shape = [...(found?.shape ?? [])];
  const size = shape.reduce((product, axis) => product * axis, 1);
  if (!found || found.dtype !== edge.dtype || size !== edge.size) {
    throw new Error('not the model that this client was generated for: its tensors differ');
  }
  return {name, shape};
}

function numbersOf(edge: Edge, bytes: ArrayBuffer): Float32Array | Int32Array | Uint8Array {
  if (edge.dtype === 'uint8') return new Uint8Array(bytes);
  return edge.dtype === 'int32' ? new Int32Array(bytes) : new Float32Array(bytes);
}

/** A copy: what LiteRT.js gives lies in its own memory, which the next inference writes to. */
function copyOf(view: ArrayBufferView): ArrayBuffer {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice().buffer;
}
