/** The worker that looks at the channel: verifying, hashing and downloading stay off the page's thread. */
import {version as tfjs} from '@tensorflow/tfjs-core/package.json';
import {boundedFetch} from './bounded';
import type {ChannelPlace} from './place';
import {Store} from './store';
import {Repository} from './trust';
import {look, type Look} from './update';

export type Answer = {look: Look} | {error: string; offline: boolean};

/** The library takes the global `fetch`, and this worker's is its own. */
const plain = fetch.bind(globalThis);

async function answer(place: ChannelPlace): Promise<Answer> {
  try {
    const store = await Store.open(place);
    const memory = (navigator as {deviceMemory?: number}).deviceMemory;
    const device = {runtimes: {tfjs}, platform: 'web', memoryMb: memory === undefined ? null : memory * 1024};
    const found = await store.alone(async () => {
      const repository = new Repository(place.url, place.root, await store.trust());
      globalThis.fetch = boundedFetch(plain, (url) => repository.limit(url));
      return look(place, store, repository, device);
    });
    return {look: found};
  } catch (error) {
    const offline = !navigator.onLine || (error instanceof TypeError && /fetch|network|load failed/i.test(error.message));
    return {error: error instanceof Error ? error.message : String(error), offline};
  }
}

addEventListener('message', ({data}: MessageEvent<ChannelPlace>) => void answer(data).then((found) => postMessage(found)));
