/**
 * The core of a client: from what an app has in hand to the model's tensors, and from its outputs to answers.
 * The same for every model; what differs is in contract.ts. Needs nothing but the language.
 */

import {readTable, readText} from './texts';

export type Kind = 'image' | 'audio' | 'window' | 'table' | 'text' | 'tensor';
export type DType = 'float32' | 'int8' | 'uint8' | 'int16' | 'int32';

/** How a tensor lies in the model's file: its position among inputs or outputs, its form, its quantization (scale 0: none). */
export interface Edge {
  index: number;
  dtype: DType;
  size: number;
  scale: number;
  zeroPoint: number;
}

/** The steps of a picture, in this order. */
export interface PictureSteps {
  height: number;
  width: number;
  /** Whether the orientation that the camera wrote (EXIF) is applied. */
  orient: boolean;
  /** The ground under what is transparent, 0 to 255; -1: no opacity is taken. */
  flatten: number;
  /** What red, green and blue count in grey, in thousandths. */
  grey: readonly [number, number, number];
  /** A picture whose rim is not as dark (light) as that is inverted. */
  invert: '' | 'dark' | 'light';
  resampler: 'area' | 'pil-bilinear' | 'tf-bilinear';
  fit: 'stretch' | 'contain' | 'cover';
  /** What lies around the picture, 0 to 255; -1: the mean of its rim. */
  border: number;
  /** Whether red and blue change places. */
  swap: boolean;
}

/** An input. `channels`: of an image's tensor, else of the raw data. The factors are one number, or one a channel. */
export interface Input {
  name: string;
  kind: Kind;
  edge: Edge;
  channels: number;
  picture?: PictureSteps;
  /** Audio: the mean of the channels is taken; samples per second, 0 where it is not stated. */
  mono?: boolean;
  rate?: number;
  /** Of a table: a category has values, and `unknown` for any other (-1: refused); a number may have one for no text. */
  columns?: readonly {values: readonly string[]; unknown: number; missing?: number}[];
  /** Of a text: how many ids its words have. */
  buckets?: number;
  multiply?: readonly number[];
  add?: readonly number[];
}

export interface Output {
  name: string;
  edge: Edge;
  labels: readonly string[];
  /** The largest difference of a right device from the goldens. */
  tolerance: number;
  /** Scores below `threshold` are no answer; `logits`: they are not probabilities yet. */
  decision?: {threshold?: number; temperature?: number; logits: boolean};
}

/** A picture: row by row, 1, 3 (red, green, blue) or 4 (with opacity) channels; `orientation` is EXIF's, 1 to 8. */
export interface Picture {
  data: Uint8Array;
  height: number;
  width: number;
  channels: number;
  orientation?: number;
}

/** What an app has in hand: a picture, PCM (interleaved), the texts of a table's row, one text, or numbers. */
export type Raw = Picture | {data: Int16Array; rate?: number} | {data: readonly string[] | string | Float32Array};

/** What runs the model: bytes of each input and output in the contract's order. */
export interface Engine {
  readonly name: string;
  run(inputs: ArrayBuffer[]): ArrayBuffer[] | Promise<ArrayBuffer[]>;
  close(): void;
}

/** The float32 tensor of one sample. Throws an Error for what this input does not take. */
export function preprocess(input: Input, raw: Raw): Float32Array {
  if (input.kind === 'image') return readPicture(input, raw as Picture);
  if (input.kind === 'audio') return readAudio(input, raw as {data: Int16Array; rate?: number});
  if (input.kind === 'text') return readText(input, raw.data as string);
  ensure(raw.data.length === input.edge.size, `${raw.data.length} values, which '${input.name}' does not take`);
  const numbers = input.kind === 'table' ? readTable(input, raw.data as string[]) : (raw.data as Float32Array);
  return numbers.map((value, at) => shift(input, at % input.channels, value));
}

const ARRAYS = {float32: Float32Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array};
const LOWEST = {float32: 0, int8: -128, uint8: 0, int16: -32768, int32: -(2 ** 31)};
const HIGHEST = {float32: 0, int8: 127, uint8: 255, int16: 32767, int32: 2 ** 31 - 1};

/** The bytes that the model takes for a tensor: halves are rounded to the even neighbour. */
export function quantize(edge: Edge, values: Float32Array): ArrayBuffer {
  if (edge.dtype === 'float32') return Float32Array.from(values).buffer;
  const [low, high] = [LOWEST[edge.dtype], HIGHEST[edge.dtype]];
  const quantized = Array.from(values, (value) => {
    const steps = edge.scale ? Math.fround(value / Math.fround(edge.scale)) : value;
    return Math.min(high, Math.max(low, roundHalfEven(steps) + edge.zeroPoint));
  });
  return ARRAYS[edge.dtype].from(quantized).buffer as ArrayBuffer;
}

/** An output's float32 numbers. */
export function dequantize(edge: Edge, bytes: ArrayBuffer): Float32Array {
  const values = new ARRAYS[edge.dtype](bytes);
  if (edge.dtype === 'float32' || !edge.scale) return Float32Array.from(values);
  return Float32Array.from(values, (value) => Math.fround(value - edge.zeroPoint) * Math.fround(edge.scale));
}

/** The largest scores, the largest first, as index, label and score; of equal ones the first. */
export function top(scores: Float32Array, count: number, labels: readonly string[] = []) {
  const order = Array.from(scores, (score, index) => ({index, label: labels[index] ?? '', score}));
  return order.sort((one, other) => other.score - one.score || one.index - other.index).slice(0, count);
}

export function ensure(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The nearest integer, halves upwards. */
function roundDiv(total: number, divisor: number): number {
  return Math.floor((2 * total + divisor) / (2 * divisor));
}

/** The affine step: each product is rounded to float32 before the sum. */
function shift(input: Input, channel: number, value: number): number {
  if (!input.multiply || !input.add) return value;
  const at = input.multiply.length > 1 ? channel : 0;
  return Math.fround(value * Math.fround(input.multiply[at]!)) + Math.fround(input.add[at]!);
}

function readAudio(input: Input, raw: {data: Int16Array; rate?: number}): Float32Array {
  const [channels, kept] = [input.channels, input.mono ? 1 : input.channels];
  ensure(
    !raw.rate || !input.rate || raw.rate === input.rate,
    `${raw.rate} Hz, and '${input.name}' takes ${input.rate}`,
  );
  ensure(raw.data.length % channels === 0, `'${input.name}' takes ${channels} channels`);
  const tensor = new Float32Array(input.edge.size); // zeros behind the end
  for (let at = 0; at < tensor.length; at++) {
    const from = Math.floor(at / kept) * channels;
    let value = from < raw.data.length ? raw.data[from + (input.mono ? 0 : at % kept)]! : 0;
    if (input.mono && from < raw.data.length) {
      for (let channel = 1; channel < channels; channel++) value += raw.data[from + channel]!;
      value = roundDiv(value, channels);
    }
    tensor[at] = shift(input, at % kept, value);
  }
  return tensor;
}

/** A picture as the steps before resizing leave it: upright, of the model's channels. */
interface Plane {
  values: Uint8Array;
  height: number;
  width: number;
  channels: number;
}

function readPicture(input: Input, raw: Picture): Float32Array {
  const steps = input.picture!;
  const orientation = raw.orientation ?? 1;
  ensure(
    Number.isInteger(orientation) && orientation >= 1 && orientation <= 8,
    `orientation ${orientation} is not 1 to 8`,
  );
  ensure([1, 3].includes(raw.channels) || (raw.channels === 4 && steps.flatten >= 0), `${raw.channels} channels`);
  ensure(
    raw.height > 0 && raw.width > 0 && raw.data.length === raw.height * raw.width * raw.channels,
    "a size that is not its data's",
  );
  const plane = convertColours(input, steps, raw, steps.orient ? orientation : 1);
  const {sum, count} = sumRim(plane);
  const inverted = steps.invert === 'dark' ? 2 * sum > 255 * count : steps.invert === 'light' && 2 * sum < 255 * count;
  if (inverted) plane.values.forEach((value, at) => (plane.values[at] = 255 - value));
  const border = steps.border >= 0 ? steps.border : roundDiv(inverted ? 255 * count - sum : sum, count);
  const resize = {area: resizeArea, 'pil-bilinear': resizePil, 'tf-bilinear': resizeTf}[steps.resampler];
  const levels = Float32Array.from({length: 256 * input.channels}, (_, at) => shift(input, at >> 8, at & 255));
  return Float32Array.from(resize(steps, plane, border), (value, at) => levels[(at % input.channels) * 256 + value]!);
}

function convertColours(input: Input, steps: PictureSteps, raw: Picture, orientation: number): Plane {
  const turned = orientation > 4;
  const [height, width] = turned ? [raw.width, raw.height] : [raw.height, raw.width];
  const [upsideDown, mirrored] = [[3, 4, 7, 8].includes(orientation), [2, 3, 6, 7].includes(orientation)];
  const values = new Uint8Array(height * width * input.channels);
  const colour: [number, number, number] = [0, 0, 0];
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [v, u] = [upsideDown ? height - 1 - y : y, mirrored ? width - 1 - x : x];
      const from = (turned ? u * raw.width + v : v * raw.width + u) * raw.channels;
      const opacity = raw.channels === 4 ? raw.data[from + 3]! : 255;
      for (let c = 0; c < 3; c++) {
        const value = raw.data[from + (raw.channels > 1 ? c : 0)]!;
        colour[c] = opacity === 255 ? value : roundDiv(value * opacity + steps.flatten * (255 - opacity), 255);
      }
      if (input.channels === 1) {
        const [red, green, blue] = steps.grey;
        values[to++] =
          raw.channels === 1 ? colour[0] : roundDiv(red * colour[0] + green * colour[1] + blue * colour[2], 1000);
      } else {
        values[to++] = colour[steps.swap ? 2 : 0];
        values[to++] = colour[1];
        values[to++] = colour[steps.swap ? 0 : 2];
      }
    }
  }
  return {values, height, width, channels: input.channels};
}

/** The sum of the values on the outermost ring, each pixel once, and how many they are. */
function sumRim({values, height, width, channels}: Plane): {sum: number; count: number} {
  let [sum, count] = [0, 0];
  for (let y = 0; y < height; y++) {
    const step = y === 0 || y === height - 1 || width === 1 ? 1 : width - 1;
    for (let x = 0; x < width; x += step, count += channels) {
      for (let c = 0; c < channels; c++) sum += values[(y * width + x) * channels + c]!;
    }
  }
  return {sum, count};
}

/** Numerator and denominator of the scale that both axes of `contain` and `cover` have. */
function findScale(steps: PictureSteps, {height, width}: Plane): [number, number] {
  return (steps.fit === 'contain') === steps.width * height <= steps.height * width
    ? [steps.width, width]
    : [steps.height, height];
}

/** For each target pixel the source pixels from `start` on, with their weights. */
type Taps = {start: number; weights: Float64Array}[];

/** Overlaps in 1/n source pixels: target pixel t covers [(t - first) d, (t + 1 - first) d). */
function areaTaps(source: number, target: number, n: number, d: number): Taps {
  const first = Math.floor((target * d - source * n + d) / (2 * d));
  return Array.from({length: target}, (_, t) => {
    const [from, to] = [Math.max(0, (t - first) * d), Math.min(source * n, (t + 1 - first) * d)];
    if (to <= from) return {start: 0, weights: new Float64Array()};
    const start = Math.floor(from / n);
    const weights = new Float64Array(Math.ceil(to / n) - start);
    return {start, weights: weights.map((_, i) => Math.min((start + i + 1) * n, to) - Math.max((start + i) * n, from))};
  });
}

/** Triangles, in 1/2^22. */
function pilTaps(source: number, target: number): Taps {
  const reach = 2 * Math.max(source, target);
  return Array.from({length: target}, (_, t) => {
    const centre = (2 * t + 1) * source;
    const start = Math.max(0, Math.floor((centre - reach - target) / (2 * target)));
    const end = Math.min(source, Math.ceil((centre + reach) / (2 * target)) + 1);
    const heights = Float64Array.from({length: end - start}, (_, i) =>
      Math.max(0, reach - Math.abs((2 * (start + i) + 1) * target - centre)),
    );
    const total = heights.reduce((sum, value) => sum + value, 0);
    return {start, weights: heights.map((value) => roundDiv(value * 2 ** 22, total))};
  });
}

/** The two neighbours, in 1/(2 target); beyond an edge both are the edge's pixel. */
function tfTaps(source: number, target: number): Taps {
  return Array.from({length: target}, (_, t) => {
    const place = (2 * t + 1) * source - target;
    const first = Math.floor(place / (2 * target));
    const right = place - 2 * target * first;
    if (first < 0) return {start: 0, weights: Float64Array.of(2 * target)};
    if (first + 1 >= source) return {start: source - 1, weights: Float64Array.of(2 * target)};
    return {start: first, weights: Float64Array.of(2 * target - right, right)};
  });
}

/** Sums of a plane's values along x, then finished; its rows stay. */
function sumAcross(
  plane: ArrayLike<number>,
  height: number,
  width: number,
  channels: number,
  taps: Taps,
): Float64Array {
  const sums = new Float64Array(height * taps.length * channels);
  for (let y = 0, to = 0; y < height; y++) {
    for (const {start, weights} of taps) {
      for (let c = 0; c < channels; c++, to++) {
        let [sum, from] = [0, (y * width + start) * channels + c];
        for (let i = 0; i < weights.length; i++, from += channels) sum += weights[i]! * plane[from]!;
        sums[to] = sum;
      }
    }
  }
  return sums;
}

function sumDown(plane: ArrayLike<number>, row: number, taps: Taps): Float64Array {
  const sums = new Float64Array(taps.length * row);
  taps.forEach(({start, weights}, t) => {
    weights.forEach((weight, i) => {
      for (let at = 0, from = (start + i) * row; at < row; at++, from++) sums[t * row + at]! += weight * plane[from]!;
    });
  });
  return sums;
}

/** Each target pixel is the mean of what it covers, rounded once. */
function resizeArea(steps: PictureSteps, plane: Plane, border: number): Uint8Array {
  const shared = findScale(steps, plane);
  const [across, down] =
    steps.fit === 'stretch'
      ? ([
          [steps.width, plane.width],
          [steps.height, plane.height],
        ] as const)
      : [shared, shared];
  const [x, y] = [areaTaps(plane.width, steps.width, ...across), areaTaps(plane.height, steps.height, ...down)];
  const row = steps.width * plane.channels;
  const sums = sumDown(sumAcross(plane.values, plane.height, plane.width, plane.channels, x), row, y);
  const [covered, whole] = [
    (taps: Taps) => taps.map(({weights}) => weights.reduce((sum, value) => sum + value, 0)),
    across[1] * down[1],
  ];
  const [coveredX, coveredY] = [covered(x), covered(y)];
  return Uint8Array.from(sums, (sum, at) => {
    const outside = whole - coveredY[Math.floor(at / row)]! * coveredX[Math.floor((at % row) / plane.channels)]!;
    return roundDiv(sum + outside * border, whole);
  });
}

/** The bilinear ones: a crop of the picture becomes a content within the tensor. */
function resizeInParts(resize: (plane: Plane, height: number, width: number) => Uint8Array) {
  return (steps: PictureSteps, plane: Plane, border: number): Uint8Array => {
    const [n, d] = findScale(steps, plane);
    if (steps.fit === 'cover') {
      const [high, wide] = [crop(plane.height, steps.height), crop(plane.width, steps.width)];
      return resize(
        cut(plane, (plane.height - high) >> 1, (plane.width - wide) >> 1, high, wide),
        steps.height,
        steps.width,
      );
    }
    if (steps.fit === 'stretch') return resize(plane, steps.height, steps.width);
    const [high, wide] = [(size: number, most: number) => Math.max(1, Math.min(most, roundDiv(size * n, d)))].flatMap(
      (scale) => [scale(plane.height, steps.height), scale(plane.width, steps.width)],
    ) as [number, number];
    const content = resize(plane, high, wide);
    const whole = new Uint8Array(steps.height * steps.width * plane.channels).fill(border);
    const [top, left, row] = [(steps.height - high) >> 1, (steps.width - wide) >> 1, wide * plane.channels];
    for (let y = 0; y < high; y++) {
      whole.set(content.subarray(y * row, (y + 1) * row), ((top + y) * steps.width + left) * plane.channels);
    }
    return whole;

    function crop(size: number, target: number): number {
      return Math.max(1, Math.min(size, roundDiv(target * d, n)));
    }
  };
}

function cut(plane: Plane, top: number, left: number, height: number, width: number): Plane {
  const row = width * plane.channels;
  const values = new Uint8Array(height * row);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * plane.width + left) * plane.channels;
    values.set(plane.values.subarray(from, from + row), y * row);
  }
  return {values, height, width, channels: plane.channels};
}

const resizePil = resizeInParts((plane, height, width) => {
  const bytes = (sums: Float64Array) =>
    Uint8Array.from(sums, (sum) => Math.min(255, Math.floor((sum + 2 ** 21) / 2 ** 22)));
  const across = bytes(sumAcross(plane.values, plane.height, plane.width, plane.channels, pilTaps(plane.width, width)));
  return bytes(sumDown(across, width * plane.channels, pilTaps(plane.height, height)));
});

const resizeTf = resizeInParts((plane, height, width) => {
  const across = sumAcross(plane.values, plane.height, plane.width, plane.channels, tfTaps(plane.width, width));
  const sums = sumDown(across, width * plane.channels, tfTaps(plane.height, height));
  return Uint8Array.from(sums, (sum) => roundDiv(sum, 4 * height * width));
});
