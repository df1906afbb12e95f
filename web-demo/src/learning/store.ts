/** What this browser keeps of learning: the learned head and the corrected samples, for one version of a model. */
import type {Head, Samples} from './arithmetic';

export interface Learned {
  head: Head | null;
  samples: Samples;
}

const NAME = 'edgeship-learning';
const STORE = 'learned';

/** What was kept for the `learning/` of that digest; undefined where there is nothing, or nothing that fits. */
export async function read(digest: string, features: number, outputs: number): Promise<Learned | undefined> {
  const found = (await request('readonly', (store) => store.get(digest))) as Learned | undefined;
  if (!found) return undefined;
  const {head, samples} = found;
  const fits = samples?.features?.length === samples.count * features && samples.target?.length === samples.count * outputs;
  const whole = head?.weights?.length === features * outputs && head.bias?.length === outputs && [...head.weights, ...head.bias].every(Number.isFinite);
  return fits ? {head: whole ? head : null, samples} : undefined;
}

/** Keep all of it, in one transaction. */
export async function write(digest: string, learned: Learned): Promise<void> {
  await request('readwrite', (store) => store.put(learned, digest));
}

/** Delete what was learned for it. */
export async function forget(digest: string): Promise<void> {
  await request('readwrite', (store) => store.delete(digest));
}

async function request(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const asked = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}
