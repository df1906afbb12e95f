/**
 * What a page keeps of a channel, in one cache of the browser: files by content, the trusted metadata, and the state.
 * The state is one entry that is replaced whole: a page that is closed in the middle leaves the old state or the new one.
 */
import {sha256} from '../bundle/digest';
import type {ChannelPlace} from './place';
import type {Trust} from './trust';
import type {Version} from './version';

export interface State {
  schema: 1;
  /** A random name that decides on the buckets; it never leaves the device. */
  device: string;
  running: number | null;
  previous: number | null;
  /** Versions of which all files are here, by number. */
  versions: Record<number, Version>;
  /** Versions that failed their self-test on this device, and by which page in which browser: another one may judge otherwise. */
  failed: number[];
  judge: string;
  /** What the channel said last: when it was asked, where this device falls, and by experiment its arm. */
  seen: {at: string; version: number; bucket: number; hundredths: number; paused: boolean; arms?: Record<string, string>} | null;
}

export class Store {
  private constructor(private readonly cache: Cache, private readonly name: string) {}

  /** The store of a channel with that root; those of other channels that this very page had are removed. */
  static async open({page, name: channel, root}: ChannelPlace): Promise<Store> {
    const hash = async (text: string) => (await sha256(new TextEncoder().encode(text))).slice(0, 16);
    const prefix = `channel-${await hash(page)}-`;
    const name = prefix + (await hash(`${channel}\n${root}`));
    const others = (await caches.keys()).filter((key) => key.startsWith(prefix) && key !== name);
    await Promise.all(others.map((key) => caches.delete(key)));
    return new Store(await caches.open(name), name);
  }

  async state(): Promise<State> {
    const found = await this.read('state');
    if (found) return (await found.json()) as State;
    return {schema: 1, device: crypto.randomUUID(), running: null, previous: null, versions: {}, failed: [], judge: '', seen: null};
  }

  /** Change the state, one at a time over all pages of this site. */
  change(how: (state: State) => State | Promise<State>): Promise<State> {
    return navigator.locks.request(`${this.name}-state`, async () => {
      const before = await this.state();
      const state = await how(before);
      if (state !== before) await this.write('state', JSON.stringify(state));
      return state;
    });
  }

  /** The same where the page goes on without: on a full disk, what is here must still run. */
  async tryChange(how: (state: State) => State): Promise<void> {
    await this.change(how).catch(() => undefined);
  }

  async trust(): Promise<Trust> {
    return ((await (await this.read('trust'))?.json()) as Trust | undefined) ?? {};
  }

  async keepTrust(trust: Trust): Promise<void> {
    await this.write('trust', JSON.stringify(trust));
  }

  /** One update at a time over all pages. */
  alone<T>(what: () => Promise<T>): Promise<T> {
    return navigator.locks.request(`${this.name}-update`, what) as Promise<T>;
  }

  /** Whether a file is here; one that was damaged since is removed, and is not. */
  async hasFile(digest: string): Promise<boolean> {
    const found = await this.read(`files/${digest}`);
    if (!found) return false;
    const whole = (await sha256(new Uint8Array(await found.arrayBuffer()))) === digest;
    if (!whole) await this.cache.delete(this.address(`files/${digest}`));
    return whole;
  }

  async keepFile(digest: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.write(`files/${digest}`, bytes);
  }

  /** Throws where the file is not here, as where the browser made room. */
  async file(digest: string): Promise<Uint8Array<ArrayBuffer>> {
    const found = await this.read(`files/${digest}`);
    if (!found) throw new Error('a file of this version is no longer on this device');
    return new Uint8Array(await found.arrayBuffer());
  }

  /** Whether a version has all its files; one that has not is struck, so that it comes anew. */
  async isWhole({version, files}: Version): Promise<boolean> {
    const found = await Promise.all(files.map(({sha256: digest}) => this.hasFile(digest)));
    if (found.every(Boolean)) return true;
    await this.tryChange((state) => ({
      ...state,
      running: state.running === version ? null : state.running,
      versions: Object.fromEntries(Object.entries(state.versions).filter(([key]) => Number(key) !== version)),
    }));
    return false;
  }

  /** Keep a version's files for as long as this page is open. */
  hold(version: number): void {
    void navigator.locks.request(this.lock(version), {mode: 'shared'}, () => new Promise(() => {}));
  }

  /** Remove versions that neither run, nor ran before, nor are `staged`, nor are open in a page; and files of none. */
  async removeOld(staged: number): Promise<void> {
    const {held = []} = await navigator.locks.query();
    const open = new Set(held.map(({name}) => name));
    const {versions} = await this.change((state) => {
      const wanted = [state.running, state.previous, staged];
      const kept = Object.entries(state.versions).filter(([key]) => wanted.includes(Number(key)) || open.has(this.lock(Number(key))));
      return {...state, versions: Object.fromEntries(kept)};
    });
    const used = new Set(Object.values(versions).flatMap(({files}) => files.map(({sha256: digest}) => this.address(`files/${digest}`))));
    const unused = (await this.cache.keys()).filter(({url}) => url.startsWith(this.address('files/')) && !used.has(url));
    await Promise.all(unused.map((request) => this.cache.delete(request)));
  }

  private lock(version: number): string {
    return `${this.name}-version-${version}`;
  }

  private read(key: string): Promise<Response | undefined> {
    return this.cache.match(this.address(key));
  }

  private write(key: string, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
    return this.cache.put(this.address(key), new Response(content));
  }

  /** The key of an entry; nothing is ever asked of this address. */
  private address(key: string): string {
    return new URL(`/${this.name}/${key}`, location.origin).href;
  }
}
