/** The page's side of the worker: one engine is one backend with one model. */
import type {TensorSpec} from './bundle/manifest';
import type {NumpyArray} from './bundle/npz';
import type {Backend, Opened, Operation, Reply, Requests, Tensor, Tensors} from './protocol';

export class Engine {
  readonly #worker = new Worker(new URL('./worker.ts', import.meta.url), {type: 'module'});
  readonly #waiting = new Map<number, {resolve: (value: never) => void; reject: (reason: Error) => void}>();
  #next = 0;

  constructor() {
    this.#worker.onmessage = ({data}: MessageEvent<Reply>) => {
      const promise = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ('error' in data) promise?.reject(new Error(data.error));
      else promise?.resolve(data.answer as never);
    };
    this.#worker.onerror = (event) => this.#fail(new Error(`The worker failed: ${event.message || 'it could not be loaded'}.`));
  }

  /** An engine that downloads and starts a backend while the page reads the bundle; where it cannot, `open` says so. */
  static prepared(backend: Backend): Engine {
    const engine = new Engine();
    engine.#ask('prepare', {backend}).catch(() => undefined);
    return engine;
  }

  /** Start the backend and bring the model to it. The weights move to the worker. */
  open(backend: Backend, model: string, weights: ArrayBuffer): Promise<Opened> {
    return this.#ask('open', {backend, model, weights}, [weights]);
  }

  /** Outputs of one batch, and how long they took. */
  run(feeds: Tensors): Promise<{outputs: Tensors; ms: number}> {
    return this.#ask('run', {feeds});
  }

  /** The times of single inferences, for some seconds and at least so many. */
  async time(feeds: Tensors, seconds: number, least: number): Promise<number[]> {
    return (await this.#ask('time', {feeds, seconds, least})).ms;
  }

  /** End the worker; whatever was under way fails. */
  close(): void {
    this.#worker.terminate();
    this.#fail(new Closed());
  }

  #ask<O extends Operation>(operation: O, ask: Requests[O]['ask'], moved: Transferable[] = []): Promise<Requests[O]['answer']> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, {resolve, reject});
      this.#worker.postMessage({id, operation, ...ask}, moved);
    });
  }

  #fail(error: Error): void {
    for (const {reject} of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** The engine was closed while it worked: somebody chose another backend or variant. */
export class Closed extends Error {}

/** An array as TF.js takes it for an input: it computes in float32, int32 and bool only. */
export function toTensor(array: Pick<NumpyArray, 'shape' | 'data'>, spec: TensorSpec): Tensor {
  const {shape, data} = array;
  if (spec.dtype.startsWith('float')) return {dtype: 'float32', shape, data: Float32Array.from(data)};
  if (spec.dtype === 'bool') return {dtype: 'bool', shape, data: Uint8Array.from(data)};
  if (/^u?int/.test(spec.dtype)) return {dtype: 'int32', shape, data: Int32Array.from(data)};
  throw new Error(`Input ${spec.name} is of type ${spec.dtype}, which this page cannot feed.`);
}
