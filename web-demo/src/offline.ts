/** The page's side of the service worker: what it says about working offline, and when a new model has arrived. */

export type News = {kind: 'ready'; size: number} | {kind: 'updated'} | {kind: 'failed'; reason: string};

/** Register the worker. `told` hears what it has to say; `impossible` why there is none. */
export async function keepOffline(told: (news: News) => void, impossible: (reason: string) => void): Promise<void> {
  if (!('serviceWorker' in navigator)) {
    impossible('It needs the network each time: browsers keep pages for offline use on https and localhost only.');
    return;
  }
  navigator.serviceWorker.addEventListener('message', ({data}: MessageEvent<News>) => told(data));
  try {
    await navigator.serviceWorker.register('sw.js', {updateViaCache: 'none'});
    // The worker looks for a new model each time a page asks.
    (await navigator.serviceWorker.ready).active?.postMessage('refresh');
  } catch (error) {
    impossible(`It cannot be kept for offline use (${error instanceof Error ? error.message : String(error)}).`);
  }
}
