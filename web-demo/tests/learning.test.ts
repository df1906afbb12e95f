import {describe, expect, it} from 'vitest';
import {batches, countSteps, join, measure, scores, softmax, take} from '../src/learning/arithmetic';

const head = {weights: Float32Array.of(1, 0, 0, 1, -1, 2), bias: Float32Array.of(0.5, -0.5)};
const samples = {count: 2, features: Float32Array.of(1, 2, 3, 0, 0, 1), target: Float32Array.of(0, 1, 1, 0)};

describe('a head', () => {
  it('answers, and is measured as in Python', () => {
    expect([...scores(samples.features, 2, head)]).toEqual([-1.5, 7.5, -0.5, 1.5]);
    const {quality, loss} = measure(samples, head);
    expect(quality).toBe(0.5);
    // numpy: -log(softmax([-1.5, 7.5])[1]), -log(softmax([-0.5, 1.5])[0]), their mean
    expect(loss).toBeCloseTo((Math.log1p(Math.exp(-9)) + Math.log1p(Math.exp(2))) / 2, 6);
    expect(softmax(Float32Array.of(1000, -1000))[0]).toBe(1);
  });

  it('is trained in the same batches as in Python', () => {
    expect([...batches(5, 3, 4, 3)]).toEqual([{fresh: [0, 1], kept: [0, 1]}, {fresh: [2, 3], kept: [2, 0]}, {fresh: [4, 0], kept: [1, 2]}]);
    expect(countSteps(192, 256, 32, 20, 100, 2000)).toBe(240);
    expect(countSteps(8, 256, 32, 20, 100, 2000)).toBe(100);
  });
});

describe('samples', () => {
  it('are taken and joined by rows', () => {
    const twice = join(samples, take(samples, [1]));
    expect(twice.count).toBe(3);
    expect([...twice.features]).toEqual([1, 2, 3, 0, 0, 1, 0, 0, 1]);
    expect([...twice.target]).toEqual([0, 1, 1, 0, 1, 0]);
  });
});
