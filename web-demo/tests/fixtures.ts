/** Made once with numpy and Pillow: see fixtures.md. */
import {readFileSync} from 'node:fs';
import type {Picture} from '../src/preprocess';

interface Fixtures {
  npz: string;
  compressed: string;
  fortran: string;
  picture: {width: number; height: number; rgb: number[]};
  colourHalf: number[];
  pillowGray: number[];
}

export const fixtures = JSON.parse(readFileSync(new URL('./fixtures.json', import.meta.url), 'utf8')) as Fixtures;

export function decode(base64: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(base64, 'base64'));
}

/** A picture of one grey level per pixel. */
export function gray(width: number, height: number, level: (x: number, y: number) => number, opacity = 255): Picture {
  const data = new Uint8ClampedArray(width * height * 4);
  for (let index = 0; index < width * height; index++) {
    data.fill(level(index % width, Math.floor(index / width)), index * 4, index * 4 + 3);
    data[index * 4 + 3] = opacity;
  }
  return {width, height, data};
}

export function fixturePicture(): Picture {
  const {width, height, rgb} = fixtures.picture;
  const data = new Uint8ClampedArray(width * height * 4);
  for (let index = 0; index < width * height; index++) data.set([...rgb.slice(index * 3, index * 3 + 3), 255], index * 4);
  return {width, height, data};
}
