/** The engine of React Native: react-native-fast-tflite 3. */
import {CONTRACT, type ModelTensors} from './contract';
import type {Edge, Engine} from './core';

/** The part of react-native-fast-tflite's `TfliteModel` that is called. */
export interface FastTfliteModel {
  readonly inputs: {readonly dataType: string; readonly shape: number[]}[];
  readonly outputs: {readonly dataType: string; readonly shape: number[]}[];
  run(inputs: ArrayBuffer[]): Promise<ArrayBuffer[]>;
}

/** `model`: of `loadTensorflowModel`; `expected`: the tensors that it must have. Throws an Error where it is not the model of this client. */
export function fastTfliteEngine(model: FastTfliteModel, expected: ModelTensors = CONTRACT): Engine {
  const sides = [
    [expected.inputs, model.inputs],
    [expected.outputs, model.outputs],
  ] as const;
  for (const [wanted, found] of sides) for (const {edge} of wanted) requireFit(edge, found[edge.index]);
  return {
    name: 'react-native-fast-tflite',
    async run(inputs) {
      const ordered: ArrayBuffer[] = [];
      expected.inputs.forEach(({edge}, at) => (ordered[edge.index] = inputs[at]!));
      const taken = await model.run(ordered);
      return expected.outputs.map(({edge}) => taken[edge.index]!);
    },
    close() {
      // The model is freed with its last reference.
    },
  };
}

function requireFit(edge: Edge, tensor: {dataType: string; shape: number[]} | undefined): void {
  const size = tensor?.shape.reduce((product, axis) => product * Math.abs(axis), 1); // -1: a dynamic batch
  if (tensor?.dataType !== edge.dtype || size !== edge.size) {
    throw new Error('not the model that this client was generated for: its tensors differ');
  }
}
