import {describe, expect, it} from 'vitest';
import {enlarge, fromPreprocessing, type Picture, type Preprocessing, toPicture as show, toTensor as prepare} from '../src/preprocess';
import {fixturePicture, fixtures, gray} from './fixtures';

const how: Preprocessing = {kind: 'image', height: 6, width: 4, channels: 1, fit: 'contain', background: 'any', range: [0, 255]};
const toTensor = (picture: Picture, of: Preprocessing) => prepare(picture, fromPreprocessing(of));
const toPicture = (tensor: Float32Array, of: Preprocessing) => show(tensor, fromPreprocessing(of));

describe('pictures become inputs', () => {
  it('as Pillow reduces them, in colour', () => {
    const found = toTensor(fixturePicture(), {...how, channels: 3});
    expect(found.length).toBe(6 * 4 * 3);
    found.forEach((value, index) => expect(Math.abs(value - fixtures.colourHalf[index]!)).toBeLessThanOrEqual(1));
    expect(Array.from(found).filter((value, index) => value === fixtures.colourHalf[index]).length).toBeGreaterThan(60);
  });

  it('as Pillow makes them grey', () => {
    // Pillow rounds twice, once to grey and once to half the size.
    toTensor(fixturePicture(), how).forEach((value, index) => expect(Math.abs(value - fixtures.pillowGray[index]!)).toBeLessThanOrEqual(1));
  });

  it('by the share of each pixel that is covered', () => {
    const found = toTensor(gray(3, 1, (x) => [0, 90, 240][x]!), {...how, width: 2, height: 1, fit: 'stretch'});
    expect(Array.from(found)).toEqual([30, 190]); // (0 + 90 / 2) / 1.5 and (90 / 2 + 240) / 1.5
  });

  it('unchanged where they fit already', () => {
    const picture = gray(4, 6, (x, y) => x * 20 + y);
    expect(Array.from(toTensor(picture, how))).toEqual(Array.from({length: 24}, (_, index) => (index % 4) * 20 + Math.floor(index / 4)));
  });

  it('with a border around what is wider, none where they are cut', () => {
    const wide = gray(8, 4, () => 200);
    const dark = {...how, width: 4, height: 4, background: 'dark'} as const;
    // Bright to the rim, so it is inverted: 55, with black above and below.
    expect(Array.from(toTensor(wide, dark))).toEqual([0, 0, 0, 0, ...Array(8).fill(55), 0, 0, 0, 0]);
    expect(Array.from(toTensor(wide, {...dark, fit: 'cover'}))).toEqual(Array(16).fill(55));
    expect(Array.from(toTensor(wide, {...dark, fit: 'stretch'}))).toEqual(Array(16).fill(55));
  });

  it('inverted only where the rim is the other one', () => {
    const subject = (rim: number, middle: number) => gray(4, 4, (x, y) => (x > 0 && x < 3 && y > 0 && y < 3 ? middle : rim));
    const size = {width: 4, height: 4};
    const middle = (picture: Parameters<typeof toTensor>[0], background: Preprocessing['background']) =>
      toTensor(picture, {...how, ...size, background})[5];
    expect(middle(subject(250, 40), 'dark')).toBe(215);
    expect(middle(subject(5, 215), 'dark')).toBe(215);
    expect(middle(subject(5, 215), 'light')).toBe(40);
    expect(middle(subject(250, 40), 'any')).toBe(40);
  });

  it('in the range that the model takes', () => {
    const ends = gray(2, 1, (x) => x * 255);
    expect(Array.from(toTensor(ends, {...how, width: 2, height: 1, range: [-1, 1]}))).toEqual([-1, 1]);
    expect(Array.from(toTensor(ends, {...how, width: 2, height: 1, range: [0, 1]}))).toEqual([0, 1]);
  });

  it('with the ground where they are transparent', () => {
    const clear = gray(4, 4, () => 200, 0);
    expect(Array.from(toTensor(clear, {...how, width: 4, height: 4, background: 'dark'}))).toEqual(Array(16).fill(0));
    expect(Array.from(toTensor(clear, {...how, width: 4, height: 4, background: 'light'}))).toEqual(Array(16).fill(255));
  });
});

describe('inputs become pictures', () => {
  it.each([1, 3] as const)('and come back, also from a larger one, with %d channels', (channels) => {
    for (const range of [[0, 255], [0, 1], [-1, 1]] as [number, number][]) {
      const step = (range[1] - range[0]) / 255;
      const tensor = Float32Array.from({length: 24 * channels}, (_, index) => range[0] + ((index * 37) % 256) * step);
      const back = toTensor(enlarge(toPicture(tensor, {...how, channels, range}), 7), {...how, channels, range});
      back.forEach((value, index) => expect(value).toBeCloseTo(tensor[index]!, 4));
    }
  });
});
