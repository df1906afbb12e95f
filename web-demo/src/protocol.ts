/** What the page and its worker say to each other. */

export const BACKENDS = ['wasm', 'webgl', 'cpu'] as const;
export type Backend = (typeof BACKENDS)[number];

/** TF.js computes in these three only. */
export interface Tensor {
  dtype: 'float32' | 'int32' | 'bool';
  shape: number[];
  data: Float32Array | Int32Array | Uint8Array;
}
export type Tensors = Record<string, Tensor>;

export interface Opened {
  backend: Backend;
  /** Threads and SIMD of WebAssembly, or the name of the graphics chip. */
  engine: string;
  /** Parsing the model and bringing its weights to the backend. */
  loadMs: number;
}

export interface Requests {
  /** Download and start a backend before there is a model for it. */
  prepare: {ask: {backend: Backend}; answer: null};
  open: {ask: {backend: Backend; model: string; weights: ArrayBuffer}; answer: Opened};
  run: {ask: {feeds: Tensors}; answer: {outputs: Tensors; ms: number}};
  time: {ask: {feeds: Tensors; seconds: number; least: number}; answer: {ms: number[]}};
}
export type Operation = keyof Requests;
export type Ask = {[O in Operation]: {id: number; operation: O} & Requests[O]['ask']}[Operation];
export type Reply = {id: number; answer: unknown} | {id: number; error: string};
