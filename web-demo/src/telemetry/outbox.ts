/** What a browser keeps of its counts, for all tabs of an origin: those of the week that is not over, and reports that wait. */
import type {Counts} from './counter';
import {type Identity, nameReport, nameWeek, pseudonym, report, weekOf} from './report';

interface Open {
  identity: Identity;
  week: number;
  counts: Counts;
}
interface State {
  secret: Uint8Array<ArrayBuffer>;
  sequence: number;
  open: Open[];
  waiting: {key: string; body: string}[];
  failures: number;
  quiet: number;
}
export interface Sent {
  sent: number;
  refused: number;
  waiting: number;
}

const NAME = 'edgeship-reports';
const MOST_WAITING = 8;
const MOST_CELLS = 2000;
const DAY = 86_400_000;
const MINUTE = 60_000;
/** What a server may take another time, beside 5xx. */
const LATER = [408, 425, 429];

type Tree = number | string | Tree[] | {[name: string]: Tree};

/** Numbers are added, lists item by item, objects key by key. */
export function add<T>(one: T, other: T): T;
export function add(one: Tree | undefined, other: Tree | undefined): Tree {
  if (one === undefined || other === undefined) return (one ?? other)!;
  if (typeof one === 'number') return one + (other as number);
  if (typeof one === 'string') return one;
  if (Array.isArray(one)) return one.map((item, index) => add(item, (other as Tree[])[index]!));
  const keys = Object.keys({...one, ...(other as object)});
  const own = (tree: object, key: string) => (Object.hasOwn(tree, key) ? (tree as Record<string, Tree>)[key] : undefined); // of none that all objects have
  return Object.fromEntries(keys.map((key) => [key, add(own(one, key)!, own(other as object, key)!)]));
}

const cellsOf = ({outputs}: Counts) => Object.values(outputs).reduce((sum, output) => sum + (output.kind === 'classes' ? Object.keys(output.joint).length : 0), 0);

export const isEmpty = ({n, fallbacks, errors, outcomes}: Counts): boolean => !n && !fallbacks && !Object.keys({...errors, ...outcomes}).length;

const fresh = (): State => ({secret: crypto.getRandomValues(new Uint8Array(32)), sequence: 0, open: [], waiting: [], failures: 0, quiet: 0});

/** Change the state; two tabs do so one after the other. */
async function change<T>(edit: (state: State) => T): Promise<T> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(NAME);
    request.onupgradeneeded = () => request.result.createObjectStore(NAME);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return new Promise<T>((resolve, reject) => {
    const transaction = database.transaction(NAME, 'readwrite');
    const store = transaction.objectStore(NAME);
    const request = store.get(NAME);
    let result: T;
    request.onsuccess = () => {
      const state = (request.result as State | undefined) ?? fresh();
      result = edit(state);
      store.put(state, NAME);
    };
    transaction.oncomplete = () => resolve(result);
    transaction.onabort = () => reject(transaction.error);
  }).finally(() => database.close());
}

/** Add counts to those of their week. */
export async function keep(identity: Identity, counts: Counts, week: number): Promise<void> {
  if (isEmpty(counts)) return;
  const same = JSON.stringify(identity);
  await change(({open}) => {
    const found = open.find((item) => item.week === week && JSON.stringify(item.identity) === same && cellsOf(item.counts) < MOST_CELLS);
    if (found) found.counts = add(found.counts, counts);
    else open.push({identity, week, counts});
  });
}

/** Make reports of what was counted before a week: each gets its number and pseudonym, and stays as it is then. */
async function seal(before: number): Promise<void> {
  const [secret, weeks] = await change(({secret, open}) => [secret, open.map(({week}) => week)] as const);
  const installs: Record<number, string> = {};
  for (const week of weeks) installs[week] ??= await pseudonym(secret, nameWeek(week).month);
  await change((state) => {
    const chosen = state.open.filter(({week}) => week < before && week in installs);
    state.open = state.open.filter((item) => !chosen.includes(item));
    for (const item of chosen) {
      const install = installs[item.week]!;
      const sequence = state.sequence++;
      const {identity, counts, week} = item;
      const key = nameReport(identity, week, sequence, install);
      state.waiting.push({key, body: JSON.stringify(report(identity, counts, week, sequence, install))});
    }
    state.waiting = state.waiting.slice(-MOST_WAITING);
  });
}

/** What would be sent now: what is kept, or with `unkept` that alone, which nothing is kept of. */
export async function preview(unkept?: Open): Promise<unknown[]> {
  const {secret, sequence, open, waiting} = unkept ? {...fresh(), open: [unkept]} : await change((state) => structuredClone(state));
  const opened = open.map(async ({identity, counts, week}, index) => report(identity, counts, week, sequence + index, await pseudonym(secret, nameWeek(week).month)));
  return [...waiting.map(({body}) => JSON.parse(body) as unknown), ...(await Promise.all(opened))];
}

/** Send what was counted in weeks that are over, with `all` in this one too, oldest first, until the server cannot be reached. */
export async function send(url: string, all = false): Promise<Sent | null> {
  const go = async () => {
    await seal(all ? Infinity : weekOf(Date.now()));
    const {waiting, quiet} = await change((state) => structuredClone(state));
    const result = {sent: 0, refused: 0, waiting: waiting.length};
    const pause = quiet - Date.now();
    if (!all && pause > 0 && pause < DAY) return result; // a longer one is of a clock that went wrong
    for (const {key, body} of waiting) {
      const headers = {'Content-Type': 'application/json', 'Idempotency-Key': key};
      const options: RequestInit = {method: 'POST', headers, body, keepalive: true, credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer'};
      const status = await fetch(url, options).then((answer) => answer.status, () => 0);
      if (!status || status >= 500 || LATER.includes(status)) {
        await change((state) => (state.quiet = Date.now() + Math.min(MINUTE * 2 ** state.failures++, DAY) * (0.5 + Math.random() / 2)));
        break;
      }
      await change((state) => {
        state.waiting = state.waiting.filter((item) => item.key !== key);
        state.failures = state.quiet = 0;
      });
      result[status < 300 ? 'sent' : 'refused']++;
      result.waiting--;
    }
    return result;
  };
  return navigator.locks ? navigator.locks.request(NAME, {ifAvailable: true}, (lock) => (lock ? go() : null)) : go();
}

/** Forget everything: the secret, the counts, what waits. */
export function forget(): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(NAME);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
  });
}
