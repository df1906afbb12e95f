/** The parts of a bundle's `contract.json` that a page needs. */
import type {PictureInput, Step} from '../preprocess';

export const FILE = 'contract.json';
const SCHEMA = 1;

interface ContractInput {
  name: string;
  kind: string;
  raw: {colour?: 'rgb' | 'grey'};
  steps: Step[];
}

/** The inputs that are pictures, by name. Throws where the text is no contract that this page can read. */
export function pictureInputs(text: string): Record<string, PictureInput> {
  const contract = JSON.parse(text) as {schema: number; inputs: ContractInput[]};
  if (contract.schema !== SCHEMA) throw new Error(`The contract has schema ${contract.schema}; this page reads ${SCHEMA}.`);
  return Object.fromEntries(
    contract.inputs.filter(({kind}) => kind === 'image').map(({name, raw, steps}) => [name, picture(raw.colour === 'grey' ? 1 : 3, steps)]),
  );
}

function picture(channels: 1 | 3, steps: Step[]): PictureInput {
  const resize = steps.find((step) => step.step === 'resize');
  if (!resize) throw new Error('The contract describes a picture without its size.');
  return {height: resize.height, width: resize.width, channels, steps};
}
