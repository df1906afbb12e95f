/** IndexedDB: what a page keeps for as long as its user lets it. */
import type {Store} from './store';

const FILES = 'files';

// What is called of IndexedDB: a client is compiled without a page's types, too.
interface Asked {
  result: unknown;
  error: unknown;
  onsuccess: unknown;
  onerror: unknown;
}
interface Files {
  get(name: string): Asked;
  put(content: Uint8Array, name: string): Asked;
  delete(name: string): Asked;
}
interface Transaction {
  objectStore(name: string): Files;
  error: unknown;
  oncomplete: unknown;
  onabort: unknown;
  onerror: unknown;
}
interface Database {
  createObjectStore(name: string): unknown;
  transaction(name: string, mode: 'readonly' | 'readwrite'): Transaction;
  close(): void;
}

/** `name`: of the model, as pages of one origin share their databases. Each file is written in a transaction of its own. */
export function browserStore(name: string): Store {
  return {
    async read(file) {
      const found = await ask(name, 'readonly', (files) => files.get(file));
      return found instanceof Uint8Array ? found : undefined;
    },
    async write(file, content) {
      await ask(name, 'readwrite', (files) => files.put(content, file));
    },
    async remove(file) {
      await ask(name, 'readwrite', (files) => files.delete(file));
    },
  };
}

async function ask(name: string, mode: 'readonly' | 'readwrite', call: (files: Files) => Asked): Promise<unknown> {
  const database = await openDatabase(name);
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(FILES, mode);
      const asked = call(transaction.objectStore(FILES));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? asked.error);
    });
  } finally {
    database.close();
  }
}

function openDatabase(name: string): Promise<Database> {
  const {indexedDB} = globalThis as {indexedDB?: {open(name: string, version: number): Asked & {onupgradeneeded: unknown}}};
  if (!indexedDB) return Promise.reject(new Error('there is no IndexedDB here: give another store'));
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(`edgeship-learning/${name}`, 1);
    opening.onupgradeneeded = () => (opening.result as Database).createObjectStore(FILES);
    opening.onsuccess = () => resolve(opening.result as Database);
    opening.onerror = () => reject(opening.error);
  });
}
