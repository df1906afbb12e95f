/** The page's side of an update channel: what runs, what is new, and the switch to what passed its self-test. */
import type {Bundle} from '../bundle/bundle';
import {openVersion} from './open-version';
import {type State, Store} from './store';
import type {ChannelPlace} from './place';
import type {Look} from './update';
import type {Answer} from './update-worker';

/** Whether a version works in this browser; an error that says nothing of the version itself is thrown. */
export type SelfTest = (bundle: Bundle) => Promise<boolean>;

export interface Outcome {
  state: State;
  /** The version to switch to at the next load; null where what runs is right. */
  next: number | null;
  /** What runs here was withdrawn, so that it is left at once. */
  leave: boolean;
  /** Why nothing could be brought, where it could not. */
  error: string | null;
}

export class Client {
  /** The version that this page shows. */
  shown: number | null = null;
  /** By experiment the arm that this device was assigned to, as the channel said last. */
  arms: Record<string, string> = {};

  private constructor(readonly place: ChannelPlace, private readonly store: Store, private readonly test: SelfTest) {}

  static async open(place: ChannelPlace, test: SelfTest): Promise<Client> {
    if (!globalThis.caches || !navigator.locks) throw new Error('Models of a channel need https or localhost, where browsers can verify and keep them.');
    const store = await Store.open(place);
    const build = document.querySelector<HTMLScriptElement>('script[type="module"]')?.src;
    const judge = `${build} ${navigator.userAgent}`;
    await store.tryChange((state) => (state.judge === judge ? state : {...state, failed: [], judge}));
    const client = new Client(place, store, test);
    client.arms = (await store.state()).seen?.arms ?? {};
    return client;
  }

  /** The last good version, whole and from this device; null where there is none. */
  async running(): Promise<Bundle | null> {
    const state = await this.store.state();
    for (const wanted of [state.running, state.previous]) {
      const version = wanted === null || state.failed.includes(wanted) ? undefined : state.versions[wanted];
      if (!version) continue;
      this.store.hold(version.version);
      if (!(await this.store.isWhole(version))) continue;
      this.shown = version.version;
      await this.store.tryChange((now) => (now.running === version.version ? now : {...now, running: version.version}));
      return openVersion(version, this.store);
    }
    return null;
  }

  /** Look at the channel; what is new is brought, tested, and what passes runs from the next load on. Never throws. */
  async update(): Promise<Outcome> {
    let leave = false;
    let failure: string | null = null;
    try {
      // A version that fails its self-test is not offered again: the next look finds what there is instead of it.
      for (let again = true; again; ) {
        const look = await ask(this.place);
        leave = look.leave;
        failure ??= look.error;
        again = !(await this.adopt(look));
        if (again) failure = `Version ${look.chosen} failed its self-test in this browser, and is not taken.`;
      }
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    const state = await this.store.state();
    this.arms = state.seen?.arms ?? {};
    return {state, next: state.running === this.shown ? null : state.running, leave: leave && (failure !== null || state.running !== this.shown), error: failure};
  }

  /** What runs failed its self-test: it is not taken again. */
  async reject(version: number): Promise<void> {
    await this.store.change((state) => ({...state, failed: [...new Set([...state.failed, version])]}));
  }

  /** Switch to what was chosen where it passes its self-test; tells whether it did, or nothing was to be done. */
  private async adopt({chosen, leave}: Look): Promise<boolean> {
    const state = await this.store.state();
    const version = chosen === null ? undefined : state.versions[chosen];
    if (version && version.version !== state.running) {
      if (!(await this.test(await openVersion(version, this.store)))) {
        await this.reject(version.version);
        return false;
      }
      await this.store.change((now) => ({...now, running: version.version, previous: leave ? null : now.running}));
    } else if (leave) {
      await this.store.change((now) => ({...now, running: null, previous: null}));
    }
    return true;
  }
}

function ask(place: ChannelPlace): Promise<Look> {
  const worker = new Worker(new URL('./update-worker.ts', import.meta.url), {type: 'module'});
  return new Promise<Look>((resolve, reject) => {
    worker.onmessage = ({data}: MessageEvent<Answer>) => {
      if ('look' in data) resolve(data.look);
      else reject(new Error(data.offline ? 'The channel cannot be reached now.' : data.error));
    };
    worker.onerror = () => reject(new Error('The channel cannot be reached now.'));
    worker.postMessage(place);
  }).finally(() => worker.terminate());
}
