/** One backend with one variant of the model, tested: what a choice on the page leads to. */
import type {Bundle} from './bundle/bundle';
import type {Artifact} from './bundle/manifest';
import {type NumpyArray, rows} from './bundle/npz';
import {Engine, toTensor} from './engine';
import {type Backend, BACKENDS, type Opened, type Tensors} from './protocol';
import {countGoldens, type Goldens, result, type SelfTest} from './selftest';

/** An engine that is being brought an artifact already, on the first backend that will be asked for. */
export interface Prepared {
  engine: Engine;
  files: ReturnType<Bundle['model']>;
  opened: Promise<Opened>;
}

/** Download a model and open it while the page reads what else it needs; where that fails, `Session.start` says so. */
export function prepare(bundle: Bundle, artifact: Artifact, engine: Engine, backend: Backend): Prepared {
  const files = bundle.model(artifact);
  const opened = files.then(({model, weights}) => engine.open(backend, model, weights.slice(0)));
  opened.catch(() => undefined);
  return {engine, files, opened};
}

const SECONDS = 1;
const LEAST_RUNS = 10;

export class Session {
  private constructor(
    readonly artifact: Artifact, readonly opened: Opened, readonly size: number, private readonly bundle: Bundle,
    private readonly engine: Engine, private readonly goldens: Goldens,
  ) {}

  /** How long the first inference took: it compiles and allocates. */
  private firstMs = 0;

  /**
   * Bring an artifact to the first backend of the list that this browser offers; `refused` is told of the others.
   * `prepared` is what `prepare` made for the first of them.
   * Throws where a file is not what the manifest promises, or where no backend is left.
   */
  static async start(
    bundle: Bundle, artifact: Artifact, goldens: Goldens, backends: readonly Backend[], refused: (backend: Backend, reason: string) => void,
    prepared?: Prepared,
  ): Promise<Session> {
    const {model, weights, bytes} = await (prepared?.files ?? bundle.model(artifact)).catch((error: unknown) => {
      prepared?.engine.close();
      throw error;
    });
    let last: unknown;
    for (const [index, backend] of backends.entries()) {
      const ahead = index === 0 ? prepared : undefined;
      const engine = ahead?.engine ?? new Engine();
      try {
        const opened = await (ahead?.opened ?? engine.open(backend, model, weights.slice(0)));
        const session = new Session(artifact, opened, bytes, bundle, engine, goldens);
        session.firstMs = (await session.predict(session.one())).ms;
        return session;
      } catch (error) {
        engine.close();
        last = error;
        refused(backend, error instanceof Error ? error.message : String(error));
      }
    }
    throw last;
  }

  predict(inputs: Record<string, Pick<NumpyArray, 'shape' | 'data'>>): Promise<{outputs: Tensors; ms: number}> {
    return this.engine.run(this.feeds(inputs));
  }

  /** Replay the goldens; the latency is null, `time` takes it. */
  async test(): Promise<SelfTest> {
    const raw = await this.goldens.raw();
    const outputs = await this.replay(this.goldens.inputs);
    return result(this.bundle.manifest, this.artifact, this.opened, this.goldens, {outputs, raw, firstMs: this.firstMs});
  }

  /** The times of single inferences. */
  time(): Promise<number[]> {
    return this.engine.time(this.feeds(this.one()), SECONDS, LEAST_RUNS);
  }

  close(): void {
    this.engine.close();
  }

  /** One golden. */
  private one(index = 0): Record<string, NumpyArray> {
    return Object.fromEntries(Object.entries(this.goldens.inputs).map(([name, array]) => [name, rows(array, index, index + 1)]));
  }

  private feeds(inputs: Record<string, Pick<NumpyArray, 'shape' | 'data'>>): Tensors {
    return Object.fromEntries(
      this.artifact.inputs.map((spec) => {
        const array = inputs[spec.name];
        if (!array) throw new Error(`There is no value for the model's input ${spec.name}.`);
        return [spec.name, toTensor(array, spec)];
      }),
    );
  }

  /** All goldens in one batch, or one by one where the artifact's batch is fixed. */
  private async replay(inputs: Record<string, NumpyArray>): Promise<Tensors> {
    if (this.artifact.inputs.every(({shape}) => shape[0] === null)) return (await this.predict(inputs)).outputs;
    const parts: Tensors[] = [];
    for (let index = 0; index < countGoldens(this.goldens); index++) {
      parts.push((await this.predict(this.one(index))).outputs);
    }
    return joined(parts);
  }
}

/** The backends in the order in which they are tried, beginning with the one that is wanted. */
export function order(wanted: Backend): Backend[] {
  return [wanted, ...BACKENDS.filter((backend) => backend !== wanted)];
}

function joined(parts: Tensors[]): Tensors {
  const [first] = parts;
  return Object.fromEntries(
    Object.entries(first ?? {}).map(([name, {shape}]) => {
      const values = parts.flatMap((part) => Array.from(part[name]!.data));
      return [name, {dtype: 'float32', shape: [parts.length, ...shape.slice(1)], data: Float32Array.from(values)}];
    }),
  );
}
