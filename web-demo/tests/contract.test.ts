import {readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import {type Contract, parseContract, pictureInputs, rawPictures} from '../src/bundle/contract';
import {type Step, toPicture, toTensor} from '../src/preprocess';
import {checkRaw} from '../src/selftest';
import {decode} from './fixtures';

interface Case {
  height: number;
  width: number;
  channels: number;
  orientation: number;
  pixels: string;
  steps: Step[];
  grey: boolean;
  shape: number[];
  tensor: string;
}

/** Written by tests/deploy/contract/cases.py, whose test says whether they are still what Python gives. */
const cases = JSON.parse(readFileSync(new URL('./contract-cases.json', import.meta.url), 'utf8')) as Case[];

function contract({grey, steps}: Case): Contract {
  return parseContract(JSON.stringify({schema: 1, inputs: [{name: 'image', kind: 'image', raw: {colour: grey ? 'grey' : 'rgb'}, steps}, {name: 'x', kind: 'tensor'}]}));
}

describe('a contract', () => {
  it.each(cases.map((item, index) => [index, item] as const))('gives the bytes of the reference: case %d', (_, item) => {
    const input = pictureInputs(contract(item)).image!;
    expect([input.height, input.width, input.channels]).toEqual(item.shape);
    const tensor = toTensor({...item, data: decode(item.pixels)}, input, item.orientation);
    expect(Buffer.from(tensor.buffer).equals(decode(item.tensor))).toBe(true);
  });

  it('is read back into a picture, whose channels may change places', () => {
    const steps: Step[] = [
      {step: 'resize', height: 1, width: 1, fit: 'stretch', resampler: 'pil-bilinear', border: 0},
      {step: 'swap_red_blue'},
      {step: 'affine', multiply: [0.5, 1, 2], add: [1, 2, 3]},
    ];
    const input = {height: 1, width: 1, channels: 3, steps} as const;
    const tensor = toTensor({width: 1, height: 1, channels: 3, data: Uint8Array.of(10, 20, 30)}, input);
    expect(Array.from(tensor)).toEqual([16, 22, 23]);
    expect(Array.from(toPicture(tensor, input).data)).toEqual([10, 20, 30, 255]);
  });

  it("takes a canvas' picture, whose parts are its prototype's", () => {
    class ImageData {
      get width() { return 1; }
      get height() { return 1; }
      get data() { return Uint8ClampedArray.of(10, 20, 30, 255); }
    }
    const steps: Step[] = [{step: 'flatten_alpha', ground: 0}, {step: 'affine', multiply: [1], add: [0]}];
    expect(Array.from(toTensor(new ImageData(), {height: 1, width: 1, channels: 3, steps}))).toEqual([10, 20, 30]);
  });

  it('of a later version is refused', () => {
    expect(() => parseContract('{"schema": 2, "inputs": []}')).toThrow('schema 2');
  });
});

describe('raw goldens', () => {
  const chosen = cases.filter(({shape, steps}) => String(shape) === String(cases[0]!.shape) && JSON.stringify(steps) === JSON.stringify(cases[0]!.steps));
  const whole = {...contract(chosen[0]!), goldens: {samples: chosen.length, cases: chosen.map((item, index) => ({name: `${index}`, input: {image: item}}))}};
  const raw = new Uint8Array(Buffer.concat(chosen.map(({pixels}) => decode(pixels))));
  const tensors = new Uint8Array(Buffer.concat(chosen.map(({tensor}) => decode(tensor))));

  it('are replayed to the byte, and one that differs is named', () => {
    const input = pictureInputs(whole).image!;
    expect(checkRaw(rawPictures(whole, 'image', raw, tensors), input)).toEqual([]);
    const changed = tensors.slice();
    changed[5]! ^= 1;
    expect(checkRaw(rawPictures(whole, 'image', raw, changed), input)).toEqual([{case: '0', what: 'tensor', detail: 'number 1 of its tensor is another one'}]);
    const another = {...input, steps: input.steps.filter(({step}) => step !== 'affine')};
    expect(checkRaw(rawPictures(whole, 'image', raw, tensors.subarray(4 * chosen.length)), another)).toHaveLength(chosen.length);
  });

  it('of another size are refused', () => {
    expect(() => rawPictures(whole, 'image', raw.subarray(1), tensors)).toThrow('sizes');
  });
});
