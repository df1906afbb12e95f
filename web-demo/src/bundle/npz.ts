/** Numpy's files in the browser: `.npy` arrays, and the uncompressed `.npz` archives that edgeship writes. */

export type Numbers = Float32Array | Float64Array | Int32Array | Uint32Array | Int16Array | Uint16Array | Int8Array | Uint8Array;

export interface NumpyArray {
  /** Numpy's own name of the type, as '<f4'. */
  dtype: string;
  shape: number[];
  data: Numbers;
}

const TYPES: Record<string, {size: number; read: (bytes: ArrayBuffer) => Numbers}> = {
  '<f4': {size: 4, read: (bytes) => new Float32Array(bytes)},
  '<f8': {size: 8, read: (bytes) => new Float64Array(bytes)},
  '<f2': {size: 2, read: (bytes) => Float32Array.from(new Uint16Array(bytes), halfToFloat)},
  '<i8': {size: 8, read: (bytes) => Int32Array.from(new BigInt64Array(bytes), small)},
  '<u8': {size: 8, read: (bytes) => Int32Array.from(new BigUint64Array(bytes), small)},
  '<i4': {size: 4, read: (bytes) => new Int32Array(bytes)},
  '<u4': {size: 4, read: (bytes) => new Uint32Array(bytes)},
  '<i2': {size: 2, read: (bytes) => new Int16Array(bytes)},
  '<u2': {size: 2, read: (bytes) => new Uint16Array(bytes)},
  '|i1': {size: 1, read: (bytes) => new Int8Array(bytes)},
  '|u1': {size: 1, read: (bytes) => new Uint8Array(bytes)},
  '|b1': {size: 1, read: (bytes) => new Uint8Array(bytes)},
};

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;

/** The arrays of an `.npz` by name. Throws where the archive is compressed, cut short, or no archive. */
export function readNpz(bytes: Uint8Array): Record<string, NumpyArray> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = endOfDirectory(view);
  const arrays: Record<string, NumpyArray> = {};
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== DIRECTORY_ENTRY) throw new Error('not an .npz file: its directory is damaged');
    const [names, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true)) as [number, number, number];
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + names));
    if (view.getUint16(at + 10, true) !== 0) throw new Error(`${name} is compressed; numpy.savez writes files that a page can read`);
    const size = view.getUint32(at + 24, true);
    const local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (start + size > bytes.length) throw new Error(`${name} is cut short`);
    arrays[name.replace(/\.npy$/, '')] = readNpy(bytes.subarray(start, start + size));
    at += 46 + names + extra + comment;
  }
  return arrays;
}

/** One array. Throws on types that are no numbers, on Fortran order, and on files that are cut short. */
export function readNpy(bytes: Uint8Array): NumpyArray {
  if (bytes.length < 12 || bytes[0] !== 0x93 || new TextDecoder().decode(bytes.subarray(1, 6)) !== 'NUMPY') {
    throw new Error('not a .npy file');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = bytes[6]! >= 2;
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const dtype = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  const axes = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  const type = dtype === undefined ? undefined : TYPES[dtype];
  if (dtype === undefined || axes === undefined || !type) throw new Error(`an array of ${dtype ?? 'unknown type'} cannot be read in a page`);
  const shape = axes.split(',').filter((part) => part.trim()).map(Number);
  if (/'fortran_order':\s*True/.test(header) && shape.length > 1) throw new Error('an array in Fortran order cannot be read in a page');
  const size = shape.reduce((product, axis) => product * axis, 1) * type.size;
  const content = bytes.slice(start + length, start + length + size);
  if (content.length !== size) throw new Error('the array is cut short');
  return {dtype, shape, data: type.read(content.buffer)};
}

/** Samples `from` to `to` (exclusive) along the first axis. */
export function rows(array: NumpyArray, from: number, to: number): NumpyArray {
  const step = array.data.length / (array.shape[0] ?? 1);
  return {...array, shape: [to - from, ...array.shape.slice(1)], data: array.data.slice(from * step, to * step)};
}

function endOfDirectory(view: DataView): number {
  for (let at = view.byteLength - 22; at >= 0; at--) {
    if (view.getUint32(at, true) === END_OF_DIRECTORY) return at;
  }
  throw new Error('not an .npz file');
}

function small(value: bigint): number {
  const number = Number(value);
  if (Math.abs(number) > 0x7fffffff) throw new Error(`${value} does not fit the 32 bits that TF.js computes with`);
  return number;
}

/** IEEE 754 binary16 to a number. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
