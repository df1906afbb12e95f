/** From raw data to an answer. */
import {CONTRACT} from './contract';
import {dequantize, type Engine, type Output, preprocess, quantize, type Raw, top} from './core';

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
    return decide(CONTRACT.outputs[0]!, scores!, count);
  }
}

/**
 * The best answers of scores, which a temperature makes as sure as they are right; none below the threshold.
 * A score with two labels is one answer: the second label from the threshold on.
 */
export function decide({decision, labels}: Output, scores: Float32Array, count: number) {
  const lowest = Math.fround(decision?.threshold ?? -Infinity);
  if (scores.length === 1 && labels.length === 2) {
    const index = scores[0]! >= lowest ? 1 : 0;
    return [{index, label: labels[index]!, score: scores[0]!}];
  }
  const {temperature, logits = false} = decision ?? {};
  const shares = temperature ? calibrate(scores, temperature, logits) : scores;
  return top(shares, count, labels).filter(({score}) => score >= lowest);
}

/** softmax(z / temperature), of logits z or of the logarithms of probabilities. */
function calibrate(scores: Float32Array, temperature: number, logits: boolean): Float32Array {
  const most = scores.reduce((one, other) => Math.max(one, other));
  const powers = Array.from(scores, (score) => Math.exp((logits ? score - most : Math.log(score / most)) / temperature));
  const total = powers.reduce((one, other) => one + other);
  return Float32Array.from(powers, (power) => power / total);
}
