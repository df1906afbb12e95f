import type {Spec, Tensors} from './wire';

/** A loaded model: inputs and outputs under the artifact's own names and dtypes. */
export interface Model {
  inputs: Spec[];
  outputs: Spec[];
  /** One inference of exactly the batch given. */
  infer(feeds: Tensors): Promise<Tensors>;
}

/** A started engine; starting it is what importing a runtime is elsewhere, and not part of a model's load time. */
export interface Engine {
  version: string;
  /** What the engine itself says is active now: backend, threads. Read back, never what was asked for. */
  active(): Record<string, unknown>;
  load(url: string): Promise<Model>;
  /** Bytes that the engine says it holds, or null where it does not say. */
  bytes(): number | null;
}

export interface Wanted {
  engine: string;
  backend: string;
  threads: number;
}

/** The pinned versions of the npm packages, written in at build time. */
declare const VERSIONS: Record<string, string>;
export const versions = VERSIONS;

/** A refusal that says what to do; it reaches the user as it is. */
export class Refusal extends Error {
  override name = 'ProcessError';
}

export async function download(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: the server says ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}
