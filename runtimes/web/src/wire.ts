/** The counterpart of edgeship/processes/wire.py: one line of JSON, then the raw bytes of the arrays that it announces. */

export type Data = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint32Array | Int16Array | Uint16Array | Int8Array | Uint8Array;
/** A tensor: `dtype` is numpy's name of it, little-endian. */
export interface Tensor {
  dtype: string;
  shape: number[];
  data: Data;
}
export type Tensors = Record<string, Tensor>;
/** A `edgeship.types.TensorSpec` as JSON; a free axis is null. */
export interface Spec {
  name: string;
  shape: (number | null)[];
  dtype: string;
  quantization: null;
}
export interface Message {
  header: Record<string, unknown>;
  arrays: Tensors;
}
interface Described {
  name: string;
  dtype: string;
  shape: number[];
}

type Constructor = new (buffer: ArrayBuffer) => Data;
const TYPES: Record<string, Constructor & {BYTES_PER_ELEMENT: number}> = {
  '<f4': Float32Array, '<f8': Float64Array, '<i8': BigInt64Array, '<i4': Int32Array, '<u4': Uint32Array, '<i2': Int16Array,
  '<u2': Uint16Array, '|i1': Int8Array, '|u1': Uint8Array, '|b1': Uint8Array,
};

/** Read a message; each array gets a buffer of its own, so that it is aligned. */
export function unpack(body: ArrayBuffer): Message {
  const end = new Uint8Array(body).indexOf(10);
  const {arrays: described, ...header} = JSON.parse(new TextDecoder().decode(body.slice(0, end))) as {arrays: Described[]};
  const arrays: Tensors = {};
  let offset = end + 1;
  for (const {name, dtype, shape} of described) {
    const type = TYPES[dtype];
    if (!type) throw new Error(`array ${name} has dtype ${dtype}, which JavaScript has no typed array for`);
    const size = shape.reduce((a, b) => a * b, 1) * type.BYTES_PER_ELEMENT;
    arrays[name] = {dtype, shape, data: new type(body.slice(offset, offset + size))};
    offset += size;
  }
  return {header, arrays};
}

/** Write a message. */
export function pack(header: Record<string, unknown>, arrays: Tensors = {}): Blob {
  const described = Object.entries(arrays).map(([name, {dtype, shape}]) => ({name, dtype, shape: [...shape]}));
  const bytes = Object.values(arrays).map(({data}) => new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
  return new Blob([`${JSON.stringify({...header, arrays: described})}\n`, ...bytes]);
}

/** A failure, as an answer tells it. */
export function described(error: unknown): {type: string; message: string} {
  const {name, message} = error instanceof Error ? error : {name: 'Error', message: String(error)};
  return {type: name, message};
}
