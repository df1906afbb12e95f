import {describe, expect, it} from 'vitest';
import {readNpy, readNpz, rows} from '../src/bundle/npz';
import {decode, fixtures} from './fixtures';

describe('numpy files', () => {
  const arrays = readNpz(decode(fixtures.npz));

  it('gives names, shapes and values', () => {
    expect(Object.keys(arrays).sort()).toEqual(['bytes', 'flags', 'floats', 'halves', 'longs', 'scalar']);
    expect(arrays.floats?.shape).toEqual([2, 3]);
    expect(Array.from(arrays.floats!.data)).toEqual(Array.from(Float32Array.from([-1, -0.6, -0.2, 0.2, 0.6, 1])));
    expect(Array.from(arrays.bytes!.data)).toEqual([0, 1, 2, 3]);
    expect(Array.from(arrays.flags!.data)).toEqual([1, 0]);
    expect(arrays.scalar).toMatchObject({shape: [], data: Float32Array.of(3)});
  });

  it('brings 64-bit integers and half floats to what TF.js computes with', () => {
    expect(arrays.longs).toMatchObject({shape: [2, 1], data: Int32Array.of(1, -2)});
    const halves = Array.from(arrays.halves!.data);
    expect(halves.slice(0, 3)).toEqual([0.5, -2, 65504]);
    expect(halves[3]).toBeCloseTo(6e-8, 9);
  });

  it('cuts rows out', () => {
    expect(rows(arrays.floats!, 1, 2)).toMatchObject({shape: [1, 3], data: Float32Array.of(0.2, 0.6, 1)});
  });

  it('refuses what it would read wrongly', () => {
    expect(() => readNpz(decode(fixtures.compressed))).toThrow(/compressed/);
    expect(() => readNpy(decode(fixtures.fortran))).toThrow(/Fortran/);
    expect(() => readNpz(decode(fixtures.npz).subarray(0, 500))).toThrow(/npz/);
    expect(() => readNpy(decode(fixtures.fortran).subarray(0, 130))).toThrow();
    expect(() => readNpy(new Uint8Array(40))).toThrow(/npy/);
  });

  it('refuses an integer that does not fit 32 bits rather than changing it', () => {
    const header = "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }".padEnd(117) + '\n';
    const bytes = new Uint8Array(10 + header.length + 8);
    bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, header.length, 0]);
    bytes.set(new TextEncoder().encode(header), 10);
    new DataView(bytes.buffer).setBigInt64(10 + header.length, 2n ** 40n, true);
    expect(() => readNpy(bytes)).toThrow(/32 bits/);
  });
});
