/** Pictures of samples: as they are where they are pictures, as curves or columns where they are not. */
import type {NumpyArray} from '../bundle/npz';
import {type Picture, type PictureInput, toPicture} from '../preprocess';
import {svg} from './dom';

const [WIDTH, HEIGHT] = [120, 60];
const MOST_POINTS = 240;

/** Put a picture onto a canvas of its own size. */
export function paint(canvas: HTMLCanvasElement, picture: Picture): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext('2d')?.putImageData(new ImageData(picture.data.slice(), picture.width, picture.height), 0, 0);
}

/** One sample (its batch axis is 1) as something to look at; null where there are no numbers in it. */
export function thumbnail(sample: NumpyArray, how: PictureInput | undefined): HTMLElement | SVGElement | null {
  if (how) {
    const canvas = document.createElement('canvas');
    paint(canvas, toPicture(sample.data, how));
    return canvas;
  }
  const axes = sample.shape.slice(1).filter((size) => size !== 1);
  if (!sample.data.length) return null;
  return axes.length >= 2 || (axes[0] ?? 1) > 24 ? curves(sample.data, axes) : columns(sample.data);
}

/** The last axis' channels over the one before it. */
function curves(data: ArrayLike<number>, axes: number[]): SVGElement {
  const channels = axes.length > 1 ? Math.min(axes.at(-1)!, 6) : 1;
  const stride = axes.length > 1 ? axes.at(-1)! : 1;
  const length = Math.floor(data.length / stride);
  const [low, high] = extent(data);
  const step = Math.max(1, Math.ceil(length / MOST_POINTS));
  const lines = Array.from({length: channels}, (_, channel) => {
    const points: string[] = [];
    for (let at = 0; at < length; at += step) {
      points.push(`${((at / Math.max(1, length - 1)) * WIDTH).toFixed(1)},${level(data[at * stride + channel]!, low, high).toFixed(1)}`);
    }
    return svg('polyline', {points: points.join(' '), class: 'curve'});
  });
  return picture(lines);
}

function columns(data: ArrayLike<number>): SVGElement {
  const [low, high] = extent([0, ...Array.from(data)]);
  const width = WIDTH / data.length;
  const zero = level(0, low, high);
  return picture(
    Array.from(data, (value, index) => {
      const end = level(value, low, high);
      return svg('rect', {class: 'column-value', x: index * width + width * 0.1, width: width * 0.8, y: Math.min(zero, end), height: Math.max(0.5, Math.abs(zero - end))});
    }),
  );
}

function picture(children: Node[]): SVGElement {
  return svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true'}, children);
}

function level(value: number, low: number, high: number): number {
  return HEIGHT - 3 - ((value - low) / (high - low || 1)) * (HEIGHT - 6);
}

function extent(values: ArrayLike<number>): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (let index = 0; index < values.length; index++) {
    low = Math.min(low, values[index]!);
    high = Math.max(high, values[index]!);
  }
  return [low, high];
}
