/** Files of a bundle, each checked against the manifest before anything uses it. */
import {type Contract, FILE, parseContract, pictureInputs, RAW, type RawPicture, rawPictures} from './contract';
import {check} from './digest';
import {type Artifact, type Manifest, parse} from './manifest';
import {type NumpyArray, readNpz} from './npz';

export class Bundle {
  /** Null in bundles of earlier versions. */
  contract: Contract | null = null;

  private constructor(readonly manifest: Manifest, private readonly root: string) {}

  /** Read the manifest of the bundle in a folder of this site. */
  static async open(root: string): Promise<Bundle> {
    const answer = await fetch(`${root}manifest.json`, {cache: 'no-cache'});
    if (!answer.ok) {
      throw new Error(`There is no bundle here (${root}manifest.json: ${answer.status}); \`edgeship demo BUNDLE\` puts one beside the page.`);
    }
    const bundle = new Bundle(parse(await answer.text()), root);
    if (bundle.has(FILE)) {
      bundle.contract = parseContract(new TextDecoder().decode(await bundle.file(FILE)));
      bundle.manifest.pictures = pictureInputs(bundle.contract);
    }
    return bundle;
  }

  /** The bytes of a file. Throws an IntegrityError where they are not those that the manifest promises. */
  async file(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const answer = await fetch(this.root + name, {cache: 'no-cache'}).catch(() => undefined);
    if (!answer?.ok) throw new Error(`${name} could not be downloaded${navigator.onLine ? '' : ', and this device is offline'}.`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
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
