/**
 * How a picture becomes a model's input, step by step as the bundle's contract describes it: integers as the contract
 * defines them, so that drawings, files and the camera give here the bytes that they give in Python.
 * The reverse shows a sample as a picture; the self-test sends every golden both ways and expects it unchanged.
 */
import {resize, roundDiv, type Resize} from './resample';

/** What a manifest says of a picture where a bundle has no contract. */
export interface Preprocessing {
  kind: 'image';
  height: number;
  width: number;
  channels: 1 | 3;
  fit: 'contain' | 'cover' | 'stretch';
  /** What surrounds the subject in the training data. A picture whose rim is the other one is inverted; any: never. */
  background: 'dark' | 'light' | 'any';
  /** What the model takes for black and for white. */
  range: [number, number];
}

/** A step of the contract, as contract.json has it. */
export type Step =
  | {step: 'orient'}
  | {step: 'flatten_alpha'; ground: number}
  | {step: 'grey'; weights: readonly number[]}
  | {step: 'invert'; ground: 'dark' | 'light'}
  | Resize
  | {step: 'swap_red_blue'}
  | {step: 'affine'; multiply: readonly number[]; add: readonly number[]};

/** An input that is a picture: its size, and the steps to it. */
export interface PictureInput {
  height: number;
  width: number;
  channels: 1 | 3;
  steps: Step[];
}

/** Bytes row by row, `channels` a pixel: grey, red-green-blue, or these with opacity. */
export interface Pixels {
  width: number;
  height: number;
  channels: number;
  data: Uint8Array | Uint8ClampedArray;
}

/** Pixels as a canvas gives them: red, green, blue and opacity, row by row. */
export interface Picture {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** The input that a manifest describes. */
export function fromPreprocessing(how: Preprocessing): PictureInput {
  const {height, width, channels, fit, background} = how;
  const ground = background === 'dark' ? 0 : 255;
  const [low, high] = how.range;
  const steps: Step[] = [
    {step: 'flatten_alpha', ground},
    ...(channels === 1 ? [{step: 'grey', weights: [299, 587, 114]} as const] : []),
    ...(background === 'any' ? [] : [{step: 'invert', ground: background} as const]),
    {step: 'resize', height, width, fit, resampler: 'area', border: background === 'any' ? 'rim' : ground},
    {step: 'affine', multiply: [(high - low) / 255], add: [low]},
  ];
  return {height, width, channels, steps};
}

/** The model's input for one picture: height x width x channels. `orientation` is EXIF's, 1 to 8. */
export function toTensor(picture: Picture | Pixels, input: PictureInput, orientation = 1): Float32Array {
  // A canvas' picture has its parts from its prototype, so that copying it would leave them behind.
  let pixels = 'channels' in picture ? picture : {width: picture.width, height: picture.height, channels: 4, data: picture.data};
  for (const step of input.steps) {
    if (step.step === 'affine') return affine(pixels, step.multiply, step.add);
    pixels = apply(step, pixels, input.channels, orientation);
  }
  return Float32Array.from(pixels.data);
}

function apply(step: Exclude<Step, {step: 'affine'}>, pixels: Pixels, channels: number, orientation: number): Pixels {
  switch (step.step) {
    case 'orient': return orient(pixels, orientation);
    case 'flatten_alpha': return flatten(pixels, step.ground);
    case 'grey': return grey(pixels, step.weights);
    case 'invert': return invert(pixels, step.ground);
    case 'resize': {
      const {sum, count} = rim(pixels);
      const border = step.border === 'rim' ? roundDiv(sum, count) : step.border;
      return resize(pixels.channels < channels ? map(pixels, channels, (at) => [at, at, at]) : pixels, step, border);
    }
    case 'swap_red_blue': return map(pixels, 3, (at) => [at + 2, at + 1, at]);
  }
}

/** A model's input as a picture. */
export function toPicture(tensor: ArrayLike<number>, input: PictureInput): Picture {
  const {height, width, channels, steps} = input;
  const scale = steps.find((step) => step.step === 'affine');
  const swapped = steps.some((step) => step.step === 'swap_red_blue');
  const data = new Uint8ClampedArray(height * width * 4);
  for (let index = 0; index < height * width; index++) {
    for (let channel = 0; channel < 3; channel++) {
      const place = channels === 1 ? 0 : swapped ? 2 - channel : channel;
      const value = tensor[index * channels + place]!;
      data[index * 4 + channel] = scale ? Math.round((value - cycle(scale.add, place)) / cycle(scale.multiply, place)) : value;
    }
    data[index * 4 + 3] = 255;
  }
  return {width, height, data};
}

/** Every pixel `times` times in both directions: what a sample looks like as a larger picture. */
export function enlarge(picture: Picture, times: number): Picture {
  const [width, height] = [picture.width * times, picture.height * times];
  const from = new Uint32Array(picture.data.slice().buffer);
  const to = new Uint32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) to[y * width + x] = from[Math.floor(y / times) * picture.width + Math.floor(x / times)]!;
  }
  return {width, height, data: new Uint8ClampedArray(to.buffer)};
}

/** Upright, by EXIF's orientation: the first rows are columns from 5 on, and either axis may run backwards. */
function orient(pixels: Pixels, orientation: number): Pixels {
  if (orientation === 1) return pixels;
  const turned = orientation >= 5;
  const mirrored = [2, 3, 6, 7].includes(orientation);
  const upsideDown = [3, 4, 7, 8].includes(orientation);
  const {channels} = pixels;
  const [width, height] = turned ? [pixels.height, pixels.width] : [pixels.width, pixels.height];
  const data = new Uint8Array(pixels.data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [row, column] = [upsideDown ? height - 1 - y : y, mirrored ? width - 1 - x : x];
      const from = (turned ? column * pixels.width + row : row * pixels.width + column) * channels;
      data.set(pixels.data.subarray(from, from + channels), (y * width + x) * channels);
    }
  }
  return {width, height, channels, data};
}

function flatten(pixels: Pixels, ground: number): Pixels {
  if (pixels.channels !== 4) return pixels;
  const {data} = pixels;
  const over = (at: number, opacity: number) => roundDiv(data[at]! * opacity + ground * (255 - opacity), 255);
  return compute(pixels, 3, (at, channel) => over(at + channel, data[at + 3]!));
}

function grey(pixels: Pixels, weights: readonly number[]): Pixels {
  if (pixels.channels === 1) return pixels;
  const {data} = pixels;
  return compute(pixels, 1, (at) => roundDiv(weights[0]! * data[at]! + weights[1]! * data[at + 1]! + weights[2]! * data[at + 2]!, 1000));
}

function invert(pixels: Pixels, ground: 'dark' | 'light'): Pixels {
  const {sum, count} = rim(pixels);
  const other = ground === 'dark' ? 2 * sum > 255 * count : 2 * sum < 255 * count;
  return other ? {...pixels, data: pixels.data.map((value) => 255 - value)} : pixels;
}

/** The sum of all values of the outermost pixels, each pixel once, and how many values they are. */
function rim({width, height, channels, data}: Pixels): {sum: number; count: number} {
  let [sum, count] = [0, 0];
  for (let y = 0; y < height; y++) {
    const step = y === 0 || y === height - 1 ? 1 : Math.max(1, width - 1);
    for (let x = 0; x < width; x += step) {
      for (let channel = 0; channel < channels; channel++, count++) sum += data[(y * width + x) * channels + channel]!;
    }
  }
  return {sum, count};
}

/** float32(value * multiply) + add, rounded to float32 again. */
function affine({channels, data}: Pixels, multiply: readonly number[], add: readonly number[]): Float32Array {
  const factors = Array.from({length: channels}, (_, channel) => Math.fround(cycle(multiply, channel)));
  const terms = Array.from({length: channels}, (_, channel) => Math.fround(cycle(add, channel)));
  return Float32Array.from(data, (value, index) => Math.fround(value * factors[index % channels]!) + terms[index % channels]!);
}

/** The number of a channel, where there may be one for all. */
function cycle(numbers: readonly number[], channel: number): number {
  return numbers[numbers.length === 1 ? 0 : channel]!;
}

/** Other pixels of the same size; `value` is given where a pixel begins, and the new channel. */
function compute(pixels: Pixels, channels: number, value: (at: number, channel: number) => number): Pixels {
  const {width, height} = pixels;
  const data = new Uint8Array(width * height * channels);
  for (let index = 0; index < width * height; index++) {
    for (let channel = 0; channel < channels; channel++) data[index * channels + channel] = value(index * pixels.channels, channel);
  }
  return {width, height, channels, data};
}

/** Pixels whose values are others' of the same pixel: where each of them is. */
function map(pixels: Pixels, channels: number, places: (at: number) => number[]): Pixels {
  return compute(pixels, channels, (at, channel) => pixels.data[places(at)[channel]!]!);
}
