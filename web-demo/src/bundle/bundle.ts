/** Files of a bundle, each checked against the manifest before anything uses it. */
import {type Contract, FILE, parseContract, pictureInputs, RAW, type RawPicture, rawPictures} from './contract';
import {check} from './digest';
import {type Artifact, type Manifest, parse} from './manifest';
import {type NumpyArray, readNpz} from './npz';

type Read = (name: string) => Promise<Uint8Array<ArrayBuffer>>;

export class Bundle {
  /** `contract` is null in bundles of earlier versions. */
  private constructor(readonly manifest: Manifest, readonly contract: Contract | null, private readonly read: Read) {}

  /** A bundle whose files come from elsewhere than this site. */
  static of(manifest: Manifest, contract: Contract, read: Read): Bundle {
    return new Bundle(manifest, contract, read);
  }

  /** Read the manifest of the bundle in a folder of this site. */
  static async open(root: string): Promise<Bundle> {
    const answer = await fetch(`${root}manifest.json`, {cache: 'no-cache'});
    if (!answer.ok) {
      throw new Error(`There is no bundle here (${root}manifest.json: ${answer.status}); \`edgeship demo BUNDLE\` puts one beside the page.`);
    }
    const read = (name: string) => download(root + name, name);
    const bundle = new Bundle(parse(await answer.text()), null, read);
    if (!bundle.has(FILE)) return bundle;
    const contract = parseContract(new TextDecoder().decode(await bundle.file(FILE)));
    bundle.manifest.pictures = pictureInputs(contract);
    return new Bundle(bundle.manifest, contract, read);
  }

  /** The bytes of a file. Throws an IntegrityError where they are not those that the manifest promises. */
  async file(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.read(name);
    await check(name, bytes, this.manifest.files[name]);
    return bytes;
  }

  async arrays(name: string): Promise<Record<string, NumpyArray>> {
    return readNpz(await this.file(name));
  }

  /** The raw goldens of the inputs that are pictures, by name; none where the bundle has none. */
  async rawGoldens(): Promise<Record<string, RawPicture[]>> {
    const {contract} = this;
    const names = Object.keys(this.manifest.pictures).filter((name) => this.has(`${RAW}${name}.raw`));
    if (!contract?.goldens.cases.length) return {};
    const read = async (name: string) => rawPictures(contract, name, await this.file(`${RAW}${name}.raw`), await this.file(`${RAW}${name}.tensor`));
    return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await read(name)])));
  }

  /** Whether the manifest lists a file. */
  has(name: string): boolean {
    return name in this.manifest.files;
  }

  /** The text of an artifact's model.json and its weights in one piece. */
  async model(artifact: Artifact): Promise<{model: string; weights: ArrayBuffer; bytes: number}> {
    const text = new TextDecoder().decode(await this.file(artifact.path));
    const folder = artifact.path.slice(0, artifact.path.lastIndexOf('/') + 1);
    const names = (JSON.parse(text).weightsManifest as {paths: string[]}[]).flatMap((group) => group.paths);
    const shards = await Promise.all(names.map((name) => this.file(folder + name)));
    const weights = new Uint8Array(shards.reduce((sum, shard) => sum + shard.length, 0));
    let filled = 0;
    for (const shard of shards) {
      weights.set(shard, filled);
      filled += shard.length;
    }
    return {model: text, weights: weights.buffer, bytes: text.length + filled};
  }
}

async function download(address: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await fetch(address, {cache: 'no-cache'}).catch(() => undefined);
  if (!answer?.ok) throw new Error(`${name} could not be downloaded${navigator.onLine ? '' : ', and this device is offline'}.`);
  return new Uint8Array(await answer.arrayBuffer());
}
