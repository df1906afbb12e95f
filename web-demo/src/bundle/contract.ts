/** The parts of a bundle's `contract.json` that a page needs. */
import type {PictureInput, Pixels, Step} from '../preprocess';

export const FILE = 'contract.json';
/** Where the raw goldens lie. */
export const RAW = 'goldens/raw/';
const SCHEMA = 1;

/** The size of a raw golden; a picture's with its EXIF orientation, which is 1 where none is told. */
export interface RawSize {
  height?: number;
  width?: number;
  channels?: number;
  orientation?: number;
  shape?: number[];
}

export interface ContractInput {
  name: string;
  kind: string;
  raw: {colour?: 'rgb' | 'grey'};
  steps: Step[];
  tensor: {shape: (number | null)[]; dtype: string};
}

export interface ContractTensor {
  tensor: string;
  shape: (number | null)[];
  dtype: string;
}

export interface Contract {
  schema: number;
  name: string;
  server_model: string;
  inputs: ContractInput[];
  outputs: {name: string; shape: (number | null)[]; labels?: string[] | null}[];
  artifacts: {
    id: string;
    path: string;
    inputs: ({input: string} & ContractTensor)[];
    outputs: ({output: string; tolerance?: number | null} & ContractTensor)[];
  }[];
  goldens: {samples: number; cases: {name: string; input: Record<string, RawSize>; label?: string | null; clear?: string[]}[]};
}

/** One raw golden: a picture as an app has it in hand, and the tensor that it must become. */
export interface RawPicture extends Pixels {
  name: string;
  orientation: number;
  tensor: Uint8Array;
}

/** The contract in a text. Throws where it is none that this page can read. */
export function parseContract(text: string): Contract {
  const contract = JSON.parse(text) as Contract;
  if (contract.schema !== SCHEMA) throw new Error(`The contract has schema ${contract.schema}; this page reads ${SCHEMA}.`);
  return contract;
}

/** The inputs that are pictures, by name. */
export function pictureInputs(contract: Contract): Record<string, PictureInput> {
  return Object.fromEntries(
    contract.inputs.filter(({kind}) => kind === 'image').map(({name, raw, steps}) => [name, picture(raw.colour === 'grey' ? 1 : 3, steps)]),
  );
}

function picture(channels: 1 | 3, steps: Step[]): PictureInput {
  const resize = steps.find((step) => step.step === 'resize');
  if (!resize) throw new Error('The contract describes a picture without its size.');
  return {height: resize.height, width: resize.width, channels, steps};
}

/** The raw goldens of a picture input, of what its `.raw` and `.tensor` hold. Throws where their sizes are not the contract's. */
export function rawPictures(contract: Contract, input: string, raw: Uint8Array, tensors: Uint8Array): RawPicture[] {
  const {cases} = contract.goldens;
  const length = tensors.length / cases.length;
  let at = 0;
  const found = cases.map(({name, input: sizes}, index): RawPicture => {
    const {height = 0, width = 0, channels = 0, orientation = 1} = sizes[input] ?? {};
    const data = raw.subarray(at, (at += height * width * channels));
    return {name, height, width, channels, orientation, data, tensor: tensors.subarray(index * length, (index + 1) * length)};
  });
  if (at !== raw.length || !Number.isInteger(length)) throw new Error(`The raw goldens of ${input} do not have the sizes that the contract says.`);
  return found;
}
