/**
 * A channel's signed metadata, by The Update Framework 1.0 (https://theupdateframework.github.io/specification/).
 *
 * tuf-browser does the verifying. What it leaves to its user is done here: nothing but root metadata is kept before all of it has been
 * verified (else an interrupted update would pair a new timestamp with old targets for good), nothing expired is trusted that was
 * kept from before, and downloads have bounds.
 */
import {type FileBackend, TUFClient} from '@freedomofpress/tuf-browser';

type Metafile = NonNullable<Awaited<ReturnType<FileBackend['read']>>>;
/** Verified metadata as texts, by role: what a client remembers, so that nothing older is taken. */
export type Trust = Record<string, string>;

/** Bytes that metadata may have, as python-tuf bounds it. */
const LIMITS: Record<string, number> = {root: 512_000, timestamp: 16_384, snapshot: 2_000_000, targets: 5_000_000};
const ROLES = ['root', 'timestamp', 'snapshot', 'targets'];
const SPACE = 'trust';
/** Lower case, digits and -._ in parts that are not dots alone. */
const TARGET = /^(?!.*(^|\/)\.{0,2}(\/|$))[a-z0-9._/-]+$/;

/** Reads what was kept before, and holds what is new until it is known what of it may be kept. */
class Draft implements FileBackend {
  readonly trust: Trust;

  constructor(private readonly before: Trust) {
    this.trust = {...before};
  }

  async read(key: string): Promise<Metafile | undefined> {
    const text = this.trust[role(key)];
    return text === undefined ? undefined : (JSON.parse(text) as Metafile);
  }

  async write(key: string, value: Metafile): Promise<void> {
    this.trust[role(key)] = JSON.stringify(value);
  }

  async writeRaw(key: string, value: Uint8Array): Promise<void> {
    this.trust[role(key)] = new TextDecoder().decode(value);
  }

  async delete(key: string): Promise<void> {
    delete this.trust[role(key)];
    delete this.before[role(key)];
  }

  /** What stays of an update that failed: the chain of roots, and what was kept before and not revoked by it. */
  get afterFailure(): Trust {
    return {...this.before, ...(this.trust.root === undefined ? {} : {root: this.trust.root})};
  }
}

function role(key: string): string {
  return key.slice(SPACE.length + 1, -'.json'.length);
}

export class Repository {
  private readonly client: TUFClient;
  private readonly draft: Draft;
  private readonly lengths = new Map<string, number>();

  /** The repository in a folder `url`, which ends in a slash; `root` is the text of the root metadata to start from. */
  constructor(private readonly url: string, root: string, before: Trust) {
    this.draft = new Draft({...before});
    this.client = new TUFClient(`${url}metadata/`, root, SPACE, `${url}targets/`, {backend: this.draft});
  }

  /** How long the answer of an address may be. Throws where it is none of this repository's. */
  limit(url: string): number {
    const metadata = /^(?:\d+\.)?([a-z]+)\.json$/.exec(url.slice(`${this.url}metadata/`.length))?.[1];
    const most = this.lengths.get(url) ?? (url.startsWith(`${this.url}metadata/`) ? LIMITS[metadata ?? ''] : undefined);
    if (most === undefined) throw new Error(`${url} is not a part of the channel`);
    return most;
  }

  /** Bring the newest metadata; `keep` is given what to remember, whether or not that went well. Throws where it is refused. */
  async refresh(keep: (trust: Trust) => Promise<void>): Promise<void> {
    try {
      await this.client.updateTUF();
      for (const name of ROLES) this.checkCurrent(name);
    } catch (error) {
      await keep(this.draft.afterFailure);
      throw error;
    }
    await keep(this.draft.trust);
  }

  /** The bytes of a target, of which the signed length and SHA-256 hold. */
  async target(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const {sha256, length} = this.describe(name);
    const cut = name.lastIndexOf('/') + 1;
    this.lengths.set(`${this.url}targets/${name.slice(0, cut)}${sha256}.${name.slice(cut)}`, length);
    return new Uint8Array(await this.client.getTarget(name));
  }

  /** What is signed of a target. Throws where there is none of that name, and for names that could lead elsewhere. */
  describe(name: string): {sha256: string; length: number} {
    if (!TARGET.test(name)) throw new Error(`${name} is no name of a target`);
    const targets = this.signed('targets').targets as Record<string, {length: number; hashes: {sha256?: string}}>;
    const found = Object.hasOwn(targets, name) ? targets[name] : undefined;
    const sha256 = found?.hashes.sha256;
    if (!found || !/^[0-9a-f]{64}$/.test(sha256 ?? '')) throw new Error(`The channel has no ${name}.`);
    return {sha256: sha256!, length: found.length};
  }

  private signed(name: string): Record<string, unknown> {
    const text = this.draft.trust[name];
    // The library keeps no root until there is a second one: until then it is the page's own.
    if (text === undefined) throw new Error(`There is no ${name} metadata.`);
    return (JSON.parse(text) as {signed: Record<string, unknown>}).signed;
  }

  /** What was kept from before is not looked at again by the library where the timestamp is still the same. */
  private checkCurrent(name: string): void {
    if (name === 'root' && this.draft.trust.root === undefined) return;
    const expires = Date.parse(String(this.signed(name).expires));
    if (!(expires > Date.now())) throw new Error(`The ${name} metadata has expired: the server holds newer ones back, or this device's clock is wrong.`);
  }
}
