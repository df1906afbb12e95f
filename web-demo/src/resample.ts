/** Resampling in integers, as the contract defines it: each new pixel is a sum of old ones with whole weights. */
import type {Pixels} from './preprocess';

export interface Resize {
  step: 'resize';
  height: number;
  width: number;
  /** contain: all of the picture, with a border; cover: cut to shape; stretch: neither. */
  fit: 'contain' | 'cover' | 'stretch';
  resampler: 'area' | 'pil-bilinear' | 'tf-bilinear';
  border: number | 'rim';
}

/** Old pixels from `start` on, times `weights`. */
interface Taps {
  start: number;
  weights: number[];
}

/** One axis: `size` old pixels become `target` new ones, by the ratio scale / unit. */
interface Axis {
  size: number;
  target: number;
  scale: number;
  unit: number;
}

const PIL_BITS = 22;

/** total / divisor, rounded half up; whole numbers below 2 ** 52. */
export function roundDiv(total: number, divisor: number): number {
  return Math.floor((2 * total + divisor) / (2 * divisor));
}

export function resize(pixels: Pixels, step: Resize, border: number): Pixels {
  const [rows, columns] = axes(pixels, step);
  if (step.resampler === 'area') return area(pixels, rows, columns, border);
  const bilinear = step.resampler === 'pil-bilinear' ? pil : tensorflow;
  if (step.fit === 'cover') return bilinear(crop(pixels, middle(rows), middle(columns)), step.height, step.width);
  const [height, width] = [content(rows), content(columns)];
  return place(bilinear(pixels, height, width), step, border);
}

function axes(pixels: Pixels, step: Resize): [Axis, Axis] {
  const rows = {size: pixels.height, target: step.height, scale: step.height, unit: pixels.height};
  const columns = {size: pixels.width, target: step.width, scale: step.width, unit: pixels.width};
  if (step.fit === 'stretch') return [rows, columns];
  const narrower = step.width * pixels.height <= step.height * pixels.width ? columns : rows;
  const {scale, unit} = step.fit === 'contain' ? narrower : narrower === columns ? rows : columns;
  return [{...rows, scale, unit}, {...columns, scale, unit}];
}

/** How many new pixels the picture takes where it is contained. */
function content({size, target, scale, unit}: Axis): number {
  return Math.max(1, Math.min(target, roundDiv(size * scale, unit)));
}

/** Where the middle part begins that fills the new size, and how long it is. */
function middle({size, target, scale, unit}: Axis): [number, number] {
  const length = Math.max(1, Math.min(size, roundDiv(target * unit, scale)));
  return [Math.floor((size - length) / 2), length];
}

function crop({width, channels, data}: Pixels, [top, tall]: [number, number], [left, wide]: [number, number]): Pixels {
  const part = new Uint8Array(tall * wide * channels);
  for (let y = 0; y < tall; y++) {
    const from = ((top + y) * width + left) * channels;
    part.set(data.subarray(from, from + wide * channels), y * wide * channels);
  }
  return {width: wide, height: tall, channels, data: part};
}

function place(inner: Pixels, {height, width}: Resize, border: number): Pixels {
  const {channels} = inner;
  const data = new Uint8Array(height * width * channels).fill(border);
  const [top, left] = [Math.floor((height - inner.height) / 2), Math.floor((width - inner.width) / 2)];
  for (let y = 0; y < inner.height; y++) {
    const row = inner.data.subarray(y * inner.width * channels, (y + 1) * inner.width * channels);
    data.set(row, ((top + y) * width + left) * channels);
  }
  return {width, height, channels, data};
}

/** Each new pixel is the mean of the area that it covers. */
function area(pixels: Pixels, rows: Axis, columns: Axis, border: number): Pixels {
  const [down, across] = [areaTaps(rows), areaTaps(columns)];
  const {channels} = pixels;
  const sums = sumColumns(sumRows(pixels.data, pixels.width * channels, down), pixels.width, across, channels);
  const [tall, wide] = [down, across].map((taps) => taps.map(({weights}) => weights.reduce((sum, weight) => sum + weight, 0)));
  const whole = rows.unit * columns.unit;
  const perRow = across.length * channels;
  const data = Uint8Array.from(sums, (sum, index) => {
    const covered = tall![Math.floor(index / perRow)]! * wide![Math.floor((index % perRow) / channels)]!;
    return roundDiv(sum + (whole - covered) * border, whole);
  });
  return {width: across.length, height: down.length, channels, data};
}

/** Overlaps in units of 1 / scale of an old pixel. */
function areaTaps({size, target, scale, unit}: Axis): Taps[] {
  const first = Math.floor((target * unit - size * scale + unit) / (2 * unit));
  return Array.from({length: target}, (_, to) => {
    const [begin, end] = [(to - first) * unit, (to + 1 - first) * unit];
    const start = clamp(Math.floor(begin / scale), 0, size);
    const stop = clamp(Math.ceil(end / scale), start, size);
    const weights = Array.from({length: stop - start}, (_, at) => {
      const from = (start + at) * scale;
      return Math.min(end, from + scale) - Math.max(begin, from);
    });
    return {start, weights};
  });
}

/** Pillow's BILINEAR: a triangle as wide as a new pixel, along rows first, with bytes between the passes. */
function pil(pixels: Pixels, height: number, width: number): Pixels {
  const {channels} = pixels;
  const wide = toBytes(sumColumns(pixels.data, pixels.width, pilTaps(pixels.width, width), channels));
  return {width, height, channels, data: toBytes(sumRows(wide, width * channels, pilTaps(pixels.height, height)))};
}

function toBytes(sums: Float64Array): Uint8Array {
  return Uint8Array.from(sums, (sum) => clamp((sum + 2 ** (PIL_BITS - 1)) >> PIL_BITS, 0, 255));
}

function pilTaps(size: number, target: number): Taps[] {
  const reach = 2 * Math.max(size, target);
  return Array.from({length: target}, (_, to) => {
    const centre = (2 * to + 1) * size; // in units of 1 / (2 target) of an old pixel, whose own are (2 i + 1) target
    const start = Math.max(0, Math.floor((centre - reach - target) / (2 * target)));
    const stop = Math.min(size, Math.floor((centre + reach - target) / (2 * target)) + 2);
    const shares = Array.from({length: stop - start}, (_, at) => Math.max(0, reach - Math.abs((2 * (start + at) + 1) * target - centre)));
    const whole = shares.reduce((sum, share) => sum + share, 0);
    return {start, weights: shares.map((share) => roundDiv(share * 2 ** PIL_BITS, whole))};
  });
}

/** TensorFlow's `tf.image.resize`: between the centres of pixels, without antialiasing. */
function tensorflow(pixels: Pixels, height: number, width: number): Pixels {
  const {channels} = pixels;
  const tall = sumRows(pixels.data, pixels.width * channels, tensorflowTaps(pixels.height, height));
  const sums = sumColumns(tall, pixels.width, tensorflowTaps(pixels.width, width), channels);
  return {width, height, channels, data: Uint8Array.from(sums, (sum) => roundDiv(sum, 4 * height * width))};
}

function tensorflowTaps(size: number, target: number): Taps[] {
  return Array.from({length: target}, (_, to) => {
    const position = (2 * to + 1) * size - target;
    const index = Math.floor(position / (2 * target));
    const share = position - 2 * target * index;
    if (index < 0 || index >= size - 1) return {start: clamp(index, 0, size - 1), weights: [2 * target]};
    return {start: index, weights: [2 * target - share, share]};
  });
}

/** The sums down the columns of rows that have `length` values each: one row a tap. */
function sumRows(data: ArrayLike<number>, length: number, taps: Taps[]): Float64Array {
  const sums = new Float64Array(taps.length * length);
  taps.forEach(({start, weights}, to) => {
    weights.forEach((weight, at) => {
      const from = (start + at) * length;
      for (let index = 0; index < length; index++) sums[to * length + index]! += weight * data[from + index]!;
    });
  });
  return sums;
}

/** The sums along rows of `width` pixels: one pixel a tap. */
function sumColumns(data: ArrayLike<number>, width: number, taps: Taps[], channels: number): Float64Array {
  const height = data.length / (width * channels);
  const sums = new Float64Array(height * taps.length * channels);
  for (let y = 0; y < height; y++) {
    taps.forEach(({start, weights}, to) => {
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let at = 0; at < weights.length; at++) sum += weights[at]! * data[((y * width) + start + at) * channels + channel]!;
        sums[(y * taps.length + to) * channels + channel] = sum;
      }
    });
  }
  return sums;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
