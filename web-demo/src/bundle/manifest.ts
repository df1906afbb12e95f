/** The parts of a bundle's `manifest.json` that a page needs. */
import {fromPreprocessing, type PictureInput, type Preprocessing} from '../preprocess';

export interface TensorSpec {
  name: string;
  /** null for an axis of any size; the first is the batch. */
  shape: (number | null)[];
  dtype: string;
}

export interface Artifact {
  id: string;
  path: string;
  format: string;
  variant: string;
  digest: string;
  inputs: TensorSpec[];
  outputs: TensorSpec[];
}

export interface Figure {
  name: string;
  value: number | null;
  unit: string;
  kind: string;
}

/** What a bundle says of an artifact's goldens; `clear` names the samples whose answer any right kernel must give. */
export interface GoldenRun {
  runtime: string | null;
  tolerance?: Record<string, number> | null;
  clear?: Record<string, number[]> | null;
}

export interface Manifest {
  schema: number;
  digest: string;
  edgeship: string;
  created: string;
  /** The digest of the bundle that this one was taken from. */
  source?: string | null;
  labels: string[] | null;
  server_model: {path: string; digest: string; parameters: number | null; inputs: TensorSpec[]; outputs: TensorSpec[]};
  server_measurement?: {metric: string; share: boolean; n: number; server: number | null} | null;
  artifacts: Artifact[];
  goldens: {artifacts: Record<string, GoldenRun>};
  measurements: {artifact: string; runtime: string; device: string; metrics: Figure[]}[];
  gate?: {verdict: string} | null;
  /** How a picture becomes a model's input, by input name, where the bundle has no contract. */
  preprocessing?: Record<string, Preprocessing>;
  /** The inputs that are pictures, by name: as the contract describes them, or `preprocessing`. */
  pictures: Record<string, PictureInput>;
  /** Further samples, with labels where there are some. */
  samples?: {path: string; source: string; count: number} | null;
  data?: Record<string, {source: string; samples: number} | null>;
  tools?: Record<string, string>;
  files: Record<string, string>;
  /** Where it was put together of what an update channel carries. */
  fromChannel?: true;
}

const SCHEMA = 2;

/** The manifest in a JSON text. Throws where it is none that this page can use. */
export function parse(text: string): Manifest {
  const manifest = JSON.parse(text) as Manifest;
  manifest.pictures = Object.fromEntries(
    Object.entries(manifest.preprocessing ?? {}).map(([name, how]) => [name, fromPreprocessing(how)]),
  );
  if (manifest.schema !== SCHEMA) throw new Error(`The bundle has schema ${manifest.schema}; this page reads ${SCHEMA}.`);
  if (!browserArtifacts(manifest).length) {
    throw new Error('The bundle holds no TF.js artifact: make it with `edgeship convert MODEL --to tfjs`.');
  }
  return manifest;
}

/** The artifacts that a page can run, the smallest first: it is the one to start with. */
export function browserArtifacts(manifest: Manifest): Artifact[] {
  const rank = (artifact: Artifact) => ['weight_only_w8', 'float16', 'float32'].indexOf(artifact.variant);
  return manifest.artifacts.filter((artifact) => artifact.format === 'tfjs').sort((a, b) => rank(a) - rank(b));
}

/** A figure of an artifact, from whichever measurement has it. */
export function figure(manifest: Manifest, artifact: string, name: string): number | null {
  for (const item of manifest.measurements.filter((one) => one.artifact === artifact)) {
    const value = item.metrics.find((metric) => metric.name === name)?.value;
    if (value !== undefined && value !== null) return value;
  }
  return null;
}

/** What a class is called: its label, or its number where the bundle names none. */
export function className(manifest: Manifest, index: number): string {
  return manifest.labels?.[index] ?? `class ${index}`;
}
