/** The goldens of a bundle: those in `.npz` files, else the raw ones of its contract, which is what an update channel carries. */
import type {Goldens} from '../selftest';
import type {Bundle} from './bundle';
import {type Contract, RAW} from './contract';
import type {Artifact} from './manifest';
import type {NumpyArray} from './npz';

type Arrays = Record<string, NumpyArray>;

export async function readGoldens(bundle: Bundle, artifacts: readonly Artifact[]): Promise<Goldens> {
  const source = bundle.has('goldens/inputs.npz') ? fromArchives(bundle, artifacts) : fromContract(bundle, artifacts);
  return {...(await source), raw: () => bundle.rawGoldens()};
}

async function fromArchives(bundle: Bundle, artifacts: readonly Artifact[]): Promise<Omit<Goldens, 'raw'>> {
  const own = artifacts.filter(({variant}) => bundle.has(`goldens/tfjs-${variant}.npz`));
  const [inputs, server, ...answers] = await Promise.all(
    ['inputs', 'outputs', ...own.map(({variant}) => `tfjs-${variant}`)].map((name) => bundle.arrays(`goldens/${name}.npz`)),
  );
  return {inputs: inputs!, server: server!, own: Object.fromEntries(own.map(({id}, index) => [id, answers[index]!]))};
}

async function fromContract(bundle: Bundle, artifacts: readonly Artifact[]): Promise<Omit<Goldens, 'raw'>> {
  const {contract} = bundle;
  if (!contract?.goldens.cases.length) throw new Error('This version holds no goldens, so that nothing can tell whether it works here.');
  const outputs = (source: string) => readAll(bundle, contract, contract.outputs.filter(({name}) => bundle.has(`${RAW}${name}.${source}`)), source);
  const inputs = await readAll(bundle, contract, contract.inputs.map(({name, tensor}) => ({name, shape: tensor.shape})), 'tensor');
  const own = await Promise.all(artifacts.map(async ({id}) => [id, await outputs(id.replace('/', '-'))] as const));
  const server = await outputs('server');
  return {inputs, server: {...own[0]?.[1], ...server}, own: Object.fromEntries(own)};
}

async function readAll(bundle: Bundle, contract: Contract, items: readonly {name: string; shape: (number | null)[]}[], kind: string): Promise<Arrays> {
  const read = async ({name, shape}: {name: string; shape: (number | null)[]}) => {
    const path = `${RAW}${name}.${kind}`;
    return [name, rowsOf(await bundle.file(path), shape, contract.goldens.cases.length, path)] as const;
  };
  return Object.fromEntries(await Promise.all(items.map(read)));
}

/** float32 numbers of so many cases; an axis of any size is as long as makes the file full. */
function rowsOf(bytes: Uint8Array<ArrayBuffer>, shape: readonly (number | null)[], count: number, path: string): NumpyArray {
  const known = shape.slice(1).reduce<number>((product, axis) => product * (axis ?? 1), count);
  const free = bytes.length / 4 / known;
  const open = shape.slice(1).filter((axis) => axis === null).length;
  if (!Number.isInteger(free) || open > 1 || (!open && free !== 1)) throw new Error(`${path} does not have the size that the contract says.`);
  return {dtype: '<f4', shape: [count, ...shape.slice(1).map((axis) => axis ?? free)], data: new Float32Array(bytes.slice().buffer)};
}
