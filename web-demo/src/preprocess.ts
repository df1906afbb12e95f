/**
 * How a picture becomes a model's input, as the bundle's manifest describes it: the same for drawings, files and the
 * camera. The reverse shows a sample as a picture; the self-test sends every golden both ways and expects it unchanged.
 */

export interface Preprocessing {
  kind: 'image';
  height: number;
  width: number;
  /** 1: luma after ITU-R BT.601; 3: red, green, blue. */
  channels: 1 | 3;
  /** contain: all of the picture, with a border; cover: cut to shape; stretch: neither. */
  fit: 'contain' | 'cover' | 'stretch';
  /** What surrounds the subject in the training data. A picture whose rim is the other one is inverted; any: never. */
  background: 'dark' | 'light' | 'any';
  /** What the model takes for black and for white. */
  range: [number, number];
}

/** Pixels as a canvas gives them: red, green, blue and opacity, row by row. */
export interface Picture {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

const LUMA = [0.299, 0.587, 0.114] as const;

/** The model's input for one picture: height x width x channels. */
export function toTensor(picture: Picture, how: Preprocessing): Float32Array {
  const ground = how.background === 'dark' ? 0 : 255;
  const planes = split(picture, how.channels, ground);
  const rim = mean(planes.map((plane) => rimMean(plane, picture.width, picture.height)));
  const invert = (how.background === 'dark' && rim > 127.5) || (how.background === 'light' && rim < 127.5);
  const [low, high] = how.range;
  const border = how.background === 'any' ? rim : ground;
  const tensor = new Float32Array(how.height * how.width * how.channels);
  planes.forEach((plane, channel) => {
    const upright = invert ? plane.map((value) => 255 - value) : plane;
    const fitted = resample(upright, picture, how, border);
    // Training saw pixels as bytes, so the resampled ones are rounded to bytes too.
    fitted.forEach((value, index) => {
      tensor[index * how.channels + channel] = low + (Math.round(value) / 255) * (high - low);
    });
  });
  return tensor;
}

/** A model's input as a picture. */
export function toPicture(tensor: ArrayLike<number>, how: Preprocessing): Picture {
  const data = new Uint8ClampedArray(how.height * how.width * 4);
  const [low, high] = how.range;
  for (let index = 0; index < how.height * how.width; index++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = tensor[index * how.channels + (how.channels === 1 ? 0 : channel)]!;
      data[index * 4 + channel] = Math.round(((value - low) / (high - low)) * 255);
    }
    data[index * 4 + 3] = 255;
  }
  return {width: how.width, height: how.height, data};
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

/** One plane per channel; what is transparent shows the ground. */
function split(picture: Picture, channels: 1 | 3, ground: number): Float32Array[] {
  const planes = Array.from({length: channels}, () => new Float32Array(picture.width * picture.height));
  for (let index = 0; index < picture.width * picture.height; index++) {
    const opacity = picture.data[index * 4 + 3]! / 255;
    const colour = [0, 1, 2].map((channel) => picture.data[index * 4 + channel]! * opacity + ground * (1 - opacity));
    if (channels === 3) planes.forEach((plane, channel) => (plane[index] = colour[channel]!));
    else planes[0]![index] = colour.reduce((sum, value, channel) => sum + value * LUMA[channel]!, 0);
  }
  return planes;
}

function rimMean(plane: Float32Array, width: number, height: number): number {
  let [sum, count] = [0, 0];
  for (let y = 0; y < height; y++) {
    const step = y === 0 || y === height - 1 ? 1 : Math.max(1, width - 1);
    for (let x = 0; x < width; x += step, count++) sum += plane[y * width + x]!;
  }
  return sum / count;
}

/** The plane at the model's size: each new pixel is the mean of the area that it covers. */
function resample(plane: Float32Array, size: {width: number; height: number}, how: Preprocessing, border: number): Float32Array {
  const scales = [how.width / size.width, how.height / size.height] as const;
  const scale = how.fit === 'cover' ? Math.max(...scales) : Math.min(...scales);
  const [sx, sy] = how.fit === 'stretch' ? scales : [scale, scale];
  // Where the picture's top left corner comes to lie; whole pixels, so that a fitting picture stays exactly as it is.
  const left = Math.round((how.width - size.width * sx) / 2);
  const top = Math.round((how.height - size.height * sy) / 2);
  const wide = along(plane, size.height, size.width, 1, how.width, sx, left, border);
  // After the first pass the plane is how.width wide; the second goes down its columns.
  return along(wide, how.width, size.height, how.width, how.height, sy, top, border);
}

/** Resample one axis. The first pass goes along rows (stride 1), the second down columns (stride = width). */
function along(
  plane: Float32Array, lines: number, length: number, stride: number, target: number, scale: number, offset: number, border: number,
): Float32Array {
  const lineStep = stride === 1 ? length : 1;
  const outStep = stride === 1 ? target : 1;
  const result = new Float32Array(lines * target);
  for (let to = 0; to < target; to++) {
    const [start, end] = [(to - offset) / scale, (to + 1 - offset) / scale];
    for (let line = 0; line < lines; line++) {
      let [sum, covered] = [0, 0];
      for (let from = Math.max(0, Math.floor(start)); from < Math.min(length, end); from++) {
        const part = Math.min(end, from + 1) - Math.max(start, from);
        sum += part * plane[line * lineStep + from * stride]!;
        covered += part;
      }
      const whole = end - start;
      result[line * outStep + to * stride] = (sum + Math.max(0, whole - covered) * border) / whole;
    }
  }
  return result;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
