/** From raw data to an answer. */
import {CONTRACT} from './contract';
import {dequantize, type Engine, preprocess, quantize, type Raw, top} from './core';

export class Client {
  constructor(readonly engine: Engine) {}

  /** The outputs for the raw data of each input. Throws an Error for what an input does not take. */
  async predict(...raws: Raw[]): Promise<Float32Array[]> {
    if (raws.length !== CONTRACT.inputs.length) throw new Error(`the model takes ${CONTRACT.inputs.length} inputs`);
    return this.answer(raws.map((raw, at) => preprocess(CONTRACT.inputs[at]!, raw)));
  }

  /** The outputs for tensors as `preprocess` gives them. */
  async answer(tensors: Float32Array[]): Promise<Float32Array[]> {
    const taken = await this.engine.run(tensors.map((tensor, at) => quantize(CONTRACT.inputs[at]!.edge, tensor)));
    return CONTRACT.outputs.map((output, at) => dequantize(output.edge, taken[at]!));
  }

  /** The best answers of the first output. */
  async classify(raw: Raw, count = 3) {
    const [scores] = await this.predict(raw);
    return top(scores!, count, CONTRACT.outputs[0]!.labels);
  }
}
