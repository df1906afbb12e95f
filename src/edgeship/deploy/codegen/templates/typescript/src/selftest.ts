/** The self-test: does this client, on this device, compute what it computed when the model was shipped? */
import {Client} from './client';
import {type Case, CONTRACT} from './contract';
import {type Edge, type Engine, type Input, preprocess, quantize, type Raw, top} from './core';

export interface Failure {
  case: string;
  what: 'raw' | 'tensor' | 'output' | 'label' | 'model';
  detail: string;
}

/** What `edgeship report --add` takes. */
export interface SelfTest {
  schema: 1;
  kind: 'edgeship-selftest';
  client: 'typescript';
  bundle: string;
  artifact: string;
  artifactDigest: string;
  engine: string;
  device: string;
  samples: number;
  failures: Failure[];
  outputs: Record<string, {maxAbsError: number | null; tolerance: number; passed: boolean}>;
  preprocessing: boolean;
  passed: boolean;
}

/** The content of a file of the folder `goldens`, by its name. */
export type ReadGolden = (name: string) => Promise<ArrayBuffer>;

// Goldens may hold no halves: numbers that do, with the integers that they must become.
const ROUNDED: Edge = {index: 0, dtype: 'int8', size: 8, scale: 0.5, zeroPoint: 3};
const HALVES = [
  [0.25, 3],
  [0.75, 5],
  [1.25, 5],
  [-0.25, 3],
  [-0.75, 1],
  [1e9, 127],
  [-1e9, -128],
  [61.75, 127],
] as const;

/**
 * Replay every golden through the engine. `model`: the content of its file, where the app can read it, so that a stale one is
 * found. `device`: its name in the report.
 */
export async function selfTest(
  engine: Engine,
  read: ReadGolden,
  device: string,
  model?: ArrayBuffer,
): Promise<SelfTest> {
  const failures: Failure[] = [];
  const errors: Record<string, number> = {};
  if (model && (model.byteLength !== CONTRACT.modelSize || crc32(new Uint8Array(model)) !== CONTRACT.checksum)) {
    failures.push({case: 'model', what: 'model', detail: 'another file than this client was generated for'});
  }
  const rounded = new Int8Array(
    quantize(
      ROUNDED,
      Float32Array.from(HALVES, ([value]) => value),
    ),
  );
  if (HALVES.some(([, wanted], at) => rounded[at] !== wanted)) {
    const detail = 'quantize does not round halves to even, add the zero point, or keep to the range';
    failures.push({case: 'rounding', what: 'tensor', detail});
  }
  const client = new Client(engine);
  for (const golden of CONTRACT.cases) {
    try {
      failures.push(...(await replay(client, read, golden, errors)));
    } catch (error) {
      failures.push({case: golden.name, what: 'output', detail: String(error)});
    }
  }
  return {
    schema: 1,
    kind: 'edgeship-selftest',
    client: 'typescript',
    bundle: CONTRACT.bundle,
    artifact: CONTRACT.artifact,
    artifactDigest: CONTRACT.digest,
    engine: engine.name,
    device,
    samples: CONTRACT.cases.length,
    failures,
    outputs: Object.fromEntries(
      CONTRACT.outputs.map(({name, tolerance}) => [name, judge(errors[name] ?? Infinity, tolerance)]),
    ),
    preprocessing: !failures.some(({what}) => what === 'tensor' || what === 'raw'),
    passed: failures.length === 0,
  };
}

function judge(error: number, tolerance: number) {
  return {maxAbsError: Number.isFinite(error) ? error : null, tolerance, passed: error <= tolerance};
}

async function replay(
  client: Client,
  read: ReadGolden,
  golden: Case,
  errors: Record<string, number>,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  const fail = (what: Failure['what'], detail: string) => failures.push({case: golden.name, what, detail});
  const tensors: Float32Array[] = [];
  for (const [at, input] of CONTRACT.inputs.entries()) {
    const content = await readOrFail(read, `${golden.name}.${input.name}.raw`, fail);
    const wanted = await readOrFail(read, `${golden.name}.${input.name}.tensor`, fail);
    if (!content || !wanted) continue;
    try {
      const tensor = preprocess(input, rawOf(input, golden, at, content));
      const [found, expected] = [new Uint32Array(tensor.buffer), new Uint32Array(wanted)];
      const wrong = found.findIndex((value, place) => value !== expected[place]);
      if (found.length !== expected.length) fail('tensor', `${found.length} values, not ${expected.length}`);
      else if (wrong >= 0) fail('tensor', `value ${wrong} is ${tensor[wrong]}, not ${new Float32Array(wanted)[wrong]}`);
      tensors.push(tensor);
    } catch (error) {
      fail('tensor', String(error));
    }
  }
  if (failures.length) return failures; // the model would not be given what it should be
  const answers = await client.answer(tensors);
  for (const [at, output] of CONTRACT.outputs.entries()) {
    const wanted = await readOrFail(
      read,
      `${golden.name}.${output.name}.${CONTRACT.artifact.replaceAll('/', '-')}`,
      fail,
    );
    if (!wanted) continue;
    const error = largestError(answers[at]!, new Float32Array(wanted));
    errors[output.name] = Math.max(errors[output.name] ?? 0, error);
    if (!(error <= output.tolerance))
      fail('output', `'${output.name}' is off by ${error}, allowed are ${output.tolerance}`);
    const best = top(answers[at]!, 1, output.labels)[0]!.label;
    if (golden.clear && golden.label && output.labels.length && best !== golden.label)
      fail('label', `${best}, not ${golden.label}`);
  }
  return failures;
}

async function readOrFail(read: ReadGolden, name: string, fail: (what: 'raw', detail: string) => void) {
  try {
    return await read(name);
  } catch (error) {
    fail('raw', `${name}: ${String(error)}`);
    return undefined;
  }
}

function rawOf(input: Input, golden: Case, at: number, content: ArrayBuffer): Raw {
  if (input.kind === 'image') return {data: new Uint8Array(content), ...golden.raws[at]!};
  if (input.kind === 'table') return {data: decodeUtf8(new Uint8Array(content)).split('\n').slice(0, -1)};
  return input.kind === 'audio' ? {data: new Int16Array(content)} : {data: new Float32Array(content)};
}

/** Without TextDecoder, which not every engine of React Native has. */
function decodeUtf8(bytes: Uint8Array): string {
  return decodeURIComponent(Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''));
}

/** Infinite where the lengths differ or only one side is NaN. */
function largestError(found: Float32Array, wanted: Float32Array): number {
  if (found.length !== wanted.length) return Infinity;
  return found.reduce((worst, value, at) => {
    const error = Object.is(value, wanted[at]) ? 0 : Math.abs(value - wanted[at]!);
    return Math.max(worst, Number.isNaN(error) ? Infinity : error);
  }, 0);
}

function crc32(bytes: Uint8Array): number {
  let sum = -1;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}
