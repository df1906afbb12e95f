/** The files of `head/`: the shipped head, and the samples that travel with it. */
import {crc32} from '../crc32';
import type {Activation, Head, Samples} from './arithmetic';

/** A file's size in bytes and its CRC-32. */
export interface Checked {
  size: number;
  checksum: number;
}

/** What is known of a head before its files are read. A feature of a sample is `byte * scale + offset`. */
export interface Description {
  /** SHA-256 of the learning.json of the bundle: what was learned for another one does not count. */
  digest: string;
  /** What scores go through where they are learned. */
  activation: Activation;
  /** What they go through to be the model's own output: `linear` where that is logits. */
  answers: Activation;
  features: number;
  outputs: number;
  labels: readonly string[];
  /** Of the head's output among the client's. */
  place: number;
  batch: number;
  rate: number;
  scale: number;
  offset: number;
  replay: number;
  guard: number;
  files: Readonly<Record<'base.tflite' | 'shipped.bin' | 'replay.bin', Checked>>;
}

/** `replay` is trained with, `guard` judges. */
export interface Package {
  description: Description;
  head: Head;
  replay: Samples;
  guard: Samples;
}

/** The content of a file of the folder `head`, by its name. */
export type ReadFile = (name: string) => Promise<ArrayBuffer>;

/** Throws an Error where a file is missing, or another than this client was generated for. */
export async function openPackage(description: Description, read: ReadFile): Promise<Package> {
  const {features, outputs, replay, guard} = description;
  const shipped = new Float32Array(await readChecked(description, read, 'shipped.bin'));
  const stored = await readChecked(description, read, 'replay.bin');
  const bytesOf = (count: number) => count * (features + 4 * outputs);
  return {
    description,
    head: {weights: shipped.slice(0, features * outputs), bias: shipped.slice(features * outputs)},
    replay: restore(description, stored.slice(0, bytesOf(replay)), replay),
    guard: restore(description, stored.slice(bytesOf(replay)), guard),
  };
}

async function readChecked({files}: Description, read: ReadFile, name: keyof Description['files']): Promise<ArrayBuffer> {
  const content = await read(name);
  checkFile(files[name], content, name);
  return content;
}

/** Throws an Error where the content is not that of the file which belongs to this client. */
export function checkFile({size, checksum}: Checked, content: ArrayBuffer, name: string): void {
  if (content.byteLength !== size || crc32(new Uint8Array(content)) !== checksum) {
    throw new Error(`head/${name}: another file than this client was generated for`);
  }
}

/** Features of a byte each, then targets of float32. */
function restore({features: size, scale, offset}: Description, content: ArrayBuffer, count: number): Samples {
  const [factor, start] = [Math.fround(scale), Math.fround(offset)];
  const bytes = new Uint8Array(content, 0, count * size);
  const features = Float32Array.from(bytes, (byte) => Math.fround(byte * factor) + start);
  return {count, features, target: new Float32Array(content.slice(count * size))};
}
