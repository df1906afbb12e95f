/** The engine of TF.js, for clients of a `model.json`: the packages `@tensorflow/tfjs-core`, a backend, and the converter. */
import {CONTRACT} from './contract';
import type {Edge, Engine} from './core';

type Numbers = Float32Array | Int32Array;

/** The part of TF.js's `Tensor` that is called. */
export interface TfjsTensor {
  data(): Promise<Numbers | Uint8Array>;
  dispose(): void;
}

/** The part of TF.js's `GraphModel` that is called. */
export interface TfjsModel<T extends TfjsTensor> {
  readonly modelSignature: object;
  execute(inputs: Record<string, T>, outputs: string[]): T | T[];
  executeAsync(inputs: Record<string, T>, outputs: string[]): Promise<T | T[]>;
}

interface Signature {
  inputs: Record<string, SignatureTensor>;
  outputs: Record<string, SignatureTensor>;
}

interface SignatureTensor {
  name: string;
  tensorShape?: {dim?: {size: string | number}[]};
}

/**
 * `model`: of `loadGraphModel`; `tensor`: TF.js's function of that name. Throws an Error where it is not the model of this client.
 */
export function tfjsEngine<T extends TfjsTensor>(
  model: TfjsModel<T>,
  tensor: (values: Numbers, shape: number[], dtype: 'float32' | 'int32') => T,
): Engine {
  const signature = model.modelSignature as Partial<Signature>;
  const inputs = CONTRACT.inputs.map(({name, edge}) => requireFit(edge, signature.inputs?.[name]));
  const outputs = CONTRACT.outputs.map(({name, edge}) => requireFit(edge, signature.outputs?.[name]).name);
  let controlFlow = false;
  return {
    name: 'TF.js',
    async run(given) {
      const tensors: Record<string, T> = {};
      inputs.forEach(({name, shape}, at) => {
        const float = CONTRACT.inputs[at]!.edge.dtype === 'float32';
        const numbers = float ? new Float32Array(given[at]!) : new Int32Array(given[at]!);
        tensors[name] = tensor(numbers, shape, float ? 'float32' : 'int32');
      });
      let results: T[] = [];
      try {
        results = [await execute(tensors)].flat() as T[];
        const taken: ArrayBuffer[] = [];
        for (const [at, {edge}] of CONTRACT.outputs.entries()) taken.push(bytesOf(edge, await results[at]!.data()));
        return taken;
      } finally {
        for (const item of [...Object.values(tensors), ...results]) item.dispose();
      }
    },
    close() {
      // The model is whoever's loaded it.
    },
  };

  /** TF.js runs loops and conditions only asynchronously, and says so when it meets one. */
  async function execute(tensors: Record<string, T>): Promise<T | T[]> {
    if (controlFlow) return model.executeAsync(tensors, outputs);
    try {
      return model.execute(tensors, outputs);
    } catch (error) {
      if (!/executeAsync/.test(String(error))) throw error;
      controlFlow = true;
      return model.executeAsync(tensors, outputs);
    }
  }
}

function requireFit(edge: Edge, found: SignatureTensor | undefined): {name: string; shape: number[]} {
  const shape = (found?.tensorShape?.dim ?? []).map(({size}) => Math.max(Number(size), -1));
  const fixed = shape.map((axis) => (axis < 0 ? 1 : axis)); // -1: a dynamic batch
  const size = fixed.reduce((product, axis) => product * axis, 1);
  if (!found || size !== edge.size || !['float32', 'int32'].includes(edge.dtype)) {
    throw new Error('not the model that this client was generated for: its tensors differ');
  }
  return {name: found.name, shape: fixed};
}

function bytesOf(edge: Edge, values: Numbers | Uint8Array): ArrayBuffer {
  return (edge.dtype === 'float32' ? Float32Array.from(values) : Int32Array.from(values)).buffer;
}
