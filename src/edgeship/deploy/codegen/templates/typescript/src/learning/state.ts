/**
 * What a device keeps of learning, as bytes (little-endian): `head.bin` and `samples.bin`. Each begins with the digest of the
 * learning.json that it belongs to and ends with its CRC-32: what is damaged, or of another version, counts as absent.
 */
import {crc32} from '../crc32';
import {type Head, isFinite, type Samples} from './arithmetic';
import type {Description} from './package';
import type {Store} from './store';

export const HEAD_FILE = 'head.bin';
export const SAMPLES_FILE = 'samples.bin';
const DIGEST = 64;

/** Corrected samples with the number of each in the order in which they came, and the number of the next one. */
export interface Collected {
  samples: Samples;
  numbers: Uint32Array;
  next: number;
}

/** The files of one device for one version of a model. */
export class State {
  constructor(
    private readonly store: Store,
    private readonly description: Description,
  ) {}

  /** The head that was learned; null where there is none, or none that fits. */
  async readHead(): Promise<Head | null> {
    const {features, outputs} = this.description;
    const content = await this.read(HEAD_FILE);
    if (content?.byteLength !== 4 * (features + 1) * outputs) return null;
    const numbers = new Float32Array(content);
    const head = {weights: numbers.slice(0, features * outputs), bias: numbers.slice(features * outputs)};
    return isFinite(head) ? head : null;
  }

  async writeHead({weights, bias}: Head): Promise<void> {
    await this.write(HEAD_FILE, weights, bias);
  }

  /** The corrected samples; none where the file is none that fits. */
  async readSamples(): Promise<Collected> {
    const {features, outputs} = this.description;
    const empty = {count: 0, features: new Float32Array(), target: new Float32Array()};
    const none = {samples: empty, numbers: new Uint32Array(), next: 0};
    const content = await this.read(SAMPLES_FILE);
    if (!content || content.byteLength < 8) return none;
    const [count, next] = new Uint32Array(content, 0, 2) as unknown as [number, number];
    if (content.byteLength !== 8 + 4 * count * (1 + features + outputs)) return none;
    const numbers = new Uint32Array(content.slice(8, 8 + 4 * count));
    const values = new Float32Array(content.slice(8 + 4 * count));
    const samples = {count, features: values.slice(0, count * features), target: values.slice(count * features)};
    return values.every(Number.isFinite) ? {samples, numbers, next} : none;
  }

  async writeSamples({samples, numbers, next}: Collected): Promise<void> {
    const begin = Uint32Array.of(samples.count, next);
    await this.write(SAMPLES_FILE, begin, numbers, samples.features, samples.target);
  }

  /** Delete the learned head, and the corrected samples where asked for. */
  async forget(samples: boolean): Promise<void> {
    await this.store.remove(HEAD_FILE);
    if (samples) await this.store.remove(SAMPLES_FILE);
  }

  /** What lies between digest and sum. */
  private async read(name: string): Promise<ArrayBuffer | undefined> {
    const stored = await this.store.read(name).catch(() => undefined);
    if (!stored || stored.length < DIGEST + 4) return undefined;
    const end = stored.length - 4;
    const sum = new Uint32Array(stored.slice(end).buffer)[0];
    if (crc32(stored.subarray(0, end)) !== sum) return undefined;
    const digest = String.fromCharCode(...stored.subarray(0, DIGEST));
    return digest === this.description.digest ? stored.slice(DIGEST, end).buffer : undefined;
  }

  private async write(name: string, ...parts: (Float32Array | Uint32Array)[]): Promise<void> {
    const size = parts.reduce((sum, part) => sum + part.byteLength, DIGEST);
    const content = new Uint8Array(size + 4);
    content.set(Array.from(this.description.digest, (letter) => letter.charCodeAt(0)));
    let at = DIGEST;
    for (const part of parts) {
      content.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
      at += part.byteLength;
    }
    content.set(new Uint8Array(Uint32Array.of(crc32(content.subarray(0, size))).buffer), size);
    await this.store.write(name, content);
  }
}
