import {describe, expect, it} from 'vitest';
import {fromPreprocessing} from '../src/preprocess';
import {checkPreprocessing, compare, difference} from '../src/selftest';
import type {NumpyArray} from '../src/bundle/npz';
import {argmax, bytes, milliseconds, percentile} from '../src/stats';

const server: NumpyArray = {dtype: '<f4', shape: [2, 3], data: Float32Array.of(0.1, 0.7, 0.2, 0.5, 0.3, 0.2)};

describe('the self-test', () => {
  it('passes what is within the tolerance and says by how much it is off', () => {
    const found = Float32Array.of(0.1, 0.71, 0.19, 0.5, 0.3, 0.2);
    const result = compare(found, server.data, server, 0.02);
    expect(result).toMatchObject({passed: true, agreement: 1, tolerance: 0.02});
    expect(result.maxAbsError).toBeCloseTo(0.01, 5);
    expect(compare(found, server.data, server, 0.005).passed).toBe(false);
  });

  it('compares with what the artifact gave, not with the server model', () => {
    const own = Float32Array.of(0.2, 0.6, 0.2, 0.3, 0.5, 0.2);
    const result = compare(own, own, server, 1e-6);
    expect(result).toMatchObject({passed: true, maxAbsError: 0, agreement: 0.5});
    expect(result.maxAbsErrorServer).toBeCloseTo(0.2, 5);
  });

  it('asks for the same answer where the bundle says that it is clear', () => {
    const changed = Float32Array.of(0.1, 0.7, 0.2, 0.38, 0.42, 0.2);
    expect(compare(changed, server.data, server, 0.2).passed).toBe(true);
    expect(compare(changed, server.data, server, 0.2, [0]).passed).toBe(true);
    expect(compare(changed, server.data, server, 0.2, [0, 1]).passed).toBe(false);
  });

  it('fails NaN, missing and infinite values', () => {
    const broken = Float32Array.of(0.1, NaN, 0.2, 0.5, 0.3, 0.2);
    expect(compare(broken, server.data, server, 1).passed).toBe(false);
    expect(compare(Float32Array.of(0.1), server.data, server, 1)).toMatchObject({passed: false, agreement: null});
    expect(compare([], undefined, server, undefined).passed).toBe(false);
    expect(difference([Infinity], [1])).toBe(Infinity);
    expect(difference([NaN, Infinity], [NaN, Infinity])).toBe(0);
  });

  it('has a tolerance of its own where the bundle states none', () => {
    expect(compare(server.data, undefined, server, undefined)).toMatchObject({passed: true, maxAbsError: 0});
    expect(compare(Float32Array.from(server.data, (value) => value + 0.01), undefined, server, undefined).passed).toBe(false);
  });

  it('finds preprocessing that changes a golden', () => {
    const how = {kind: 'image', height: 2, width: 2, channels: 1, fit: 'contain', background: 'dark', range: [0, 255]} as const;
    const goldens: NumpyArray = {dtype: '<f4', shape: [2, 2, 2, 1], data: Float32Array.of(0, 10, 200, 255, 3, 4, 5, 6)};
    expect(checkPreprocessing(goldens, fromPreprocessing({...how, range: [0, 255]}))).toBe(true);
    expect(checkPreprocessing(goldens, fromPreprocessing({...how, range: [0, 128]}))).toBe(false);
  });
});

describe('figures', () => {
  it('are nearest-rank percentiles', () => {
    const samples = [5, 1, 4, 2, 3, 10, 9, 8, 7, 6];
    expect([percentile(samples, 0.5), percentile(samples, 0.9), percentile(samples, 1), percentile([7], 0.9)]).toEqual([5, 9, 10, 7]);
    expect(() => percentile([], 0.5)).toThrow();
  });

  it('are readable', () => {
    expect([milliseconds(0.123), milliseconds(12.34), milliseconds(1234)]).toEqual(['0.12 ms', '12.3 ms', '1234 ms']);
    expect([bytes(10), bytes(61_000), bytes(1_234_000)]).toEqual(['1 kB', '61 kB', '1.2 MB']);
    expect(argmax([1, 3, 2])).toBe(1);
  });
});
