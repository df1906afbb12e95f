// Any batch on any model: as it is where the batch axis is free, piece by piece where it is fixed.
// The counterpart of edgeship/runtimes/worker/batching.py, for JavaScript under Node and in pages.

/** The size of the batch axis that all inputs share, or null where it is free or there is no such axis. */
export function fixedBatch(inputs) {
  const sizes = new Set(inputs.map(({shape}) => shape[0] ?? null));
  return sizes.size === 1 ? [...sizes][0] : null;
}

/** Outputs of a batch of any size; a fixed batch axis is looped over, its last piece filled up and cut again. */
export async function run(model, feeds) {
  const fixed = fixedBatch(model.inputs);
  const count = Object.values(feeds)[0].shape[0];
  if (!fixed || fixed === count) return model.infer(feeds);
  const parts = [];
  for (let start = 0; start < count; start += fixed) {
    const real = Math.min(fixed, count - start);
    parts.push(slice(await model.infer(slice(feeds, start, real, fixed)), 0, real, real));
  }
  return Object.fromEntries(Object.keys(parts[0]).map((name) => [name, concatenate(parts.map((part) => part[name]))]));
}

/** `real` samples from `start`, filled up to `size` with the last of them. */
function slice(arrays, start, real, size) {
  return Object.fromEntries(Object.entries(arrays).map(([name, {dtype, shape, data}]) => {
    const step = data.length / shape[0];
    const piece = new data.constructor(size * step);
    piece.set(data.subarray(start * step, (start + real) * step));
    for (let i = real; i < size; i++) piece.copyWithin(i * step, (real - 1) * step, real * step);
    return [name, {dtype, shape: [size, ...shape.slice(1)], data: piece}];
  }));
}

function concatenate(arrays) {
  const [{dtype, shape, data}] = arrays;
  const all = new data.constructor(arrays.reduce((sum, array) => sum + array.data.length, 0));
  let filled = 0;
  for (const array of arrays) {
    all.set(array.data, filled);
    filled += array.data.length;
  }
  return {dtype, shape: [arrays.reduce((sum, array) => sum + array.shape[0], 0), ...shape.slice(1)], data: all};
}
