/** A version of an update channel as the page's bundle: what its contract and `version.json` say, and its files in the store. */
import {Bundle} from '../bundle/bundle';
import {type Contract, FILE, parseContract, pictureInputs} from '../bundle/contract';
import {check} from '../bundle/digest';
import type {GoldenRun, Manifest} from '../bundle/manifest';
import type {Store} from './store';
import type {Version} from './version';

/** Open a version that is whole in the store. Throws where a file is gone or damaged: the browser's store is checked, too. */
export async function openVersion(version: Version, store: Store): Promise<Bundle> {
  const digests = Object.fromEntries(version.files.map(({path, sha256}) => [path, sha256]));
  const read = (name: string) => store.file(digests[name] ?? name);
  const text = await read(FILE);
  await check(FILE, text, digests[FILE]);
  const contract = parseContract(new TextDecoder().decode(text));
  return Bundle.of(describe(version, contract, digests), contract, read);
}

/** The manifest that a page reads; a channel carries no measurements. */
function describe(version: Version, contract: Contract, files: Record<string, string>): Manifest {
  const {artifact: id, entry: path} = version;
  const artifact = contract.artifacts.find((item) => item.id === id);
  if (!artifact || artifact.path !== path) throw new Error(`The contract of version ${version.version} does not know ${id}.`);
  const [format = '', variant = ''] = id.split('/');
  const inputs = artifact.inputs.map(({input: name, shape, dtype}) => ({name, shape, dtype}));
  const outputs = artifact.outputs.map(({output: name, shape, dtype}) => ({name, shape, dtype}));
  return {
    schema: 2,
    digest: version.serverModel,
    edgeship: '',
    created: version.created,
    labels: version.labels,
    server_model: {path: contract.name, digest: version.serverModel, parameters: null, inputs, outputs},
    artifacts: [{id, path, format, variant, digest: files[path]!, inputs, outputs}],
    goldens: {artifacts: {[id]: goldenRun(contract, id)}},
    measurements: [],
    pictures: pictureInputs(contract),
    files,
    fromChannel: true,
  };
}

function goldenRun(contract: Contract, id: string): GoldenRun {
  const outputs = contract.artifacts.find((item) => item.id === id)?.outputs ?? [];
  const tolerance = Object.fromEntries(outputs.flatMap(({output, tolerance: most}) => (most ? [[output, most]] : [])));
  const scores = contract.outputs.filter(({shape}) => shape.length === 2 && shape[1] !== 1);
  const labelled = scores.find(({labels}) => labels) ?? scores[0];
  const clear = contract.goldens.cases.flatMap((item, index) => (item.clear?.includes(id) ? [index] : []));
  return {runtime: null, tolerance, clear: labelled ? {[labelled.name]: clear} : {}};
}
