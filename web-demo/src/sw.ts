/**
 * The service worker: after the first visit the page works without a network.
 *
 * One cache holds one version: the page's files and the bundle's, named after the build and the bundle's digest (where the
 * model comes from an update channel, the page's files alone: src/update keeps the model's). A new
 * version is downloaded whole into a cache of its own, every file checked against its digest; only then the pointer is
 * moved to it and the old one removed. Where anything fails, the old version stays as it is.
 */
export {};
declare const self: ServiceWorkerGlobalScope;

interface AppFile {
  name: string;
  sha256: string;
  /** Kept when it is first used rather than at once. */
  lazy: boolean;
  /** Needed where the model comes from an update channel, and only there. */
  channel: boolean;
}
interface Manifest {
  digest: string;
  files: Record<string, string>;
  artifacts: {format: string; variant: string; path: string}[];
  samples?: {path: string};
}

const APP = JSON.parse("__EDGESHIP_APP_FILES__") as AppFile[];
const PREFIX = 'edgeship-';
const POINTER = `${PREFIX}pointer`;
const MANIFEST = 'bundle/manifest.json';
/** `edgeship demo --channel` writes here that the model comes from a channel. */
const HAS_CHANNEL = JSON.parse('"__EDGESHIP_MODEL_FROM__"') === 'channel';
const address = (name: string) => new URL(name, self.registration.scope).href;

/** The name of the cache in use. Read each time: a worker is stopped and started as the browser likes. */
async function current(): Promise<string | undefined> {
  const answer = await (await caches.open(POINTER)).match(address('current'));
  return answer?.text();
}

async function hex(bytes: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Download a file past old copies, and throw where it is not what it should be. */
async function fetched(name: string, sha256: string): Promise<Response> {
  const answer = await fetch(address(name), {cache: 'no-cache'});
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  if ((await hex(await answer.clone().arrayBuffer())) !== sha256) throw new Error(`${name} does not match its digest`);
  return answer;
}

/** What the first view needs: the contract, the goldens, the samples, and the smallest variant of the model. */
function needed(manifest: Manifest): string[] {
  const smallest = ['weight_only_w8', 'float16', 'float32'];
  const variants = manifest.artifacts.filter(({format}) => format === 'tfjs');
  variants.sort((a, b) => smallest.indexOf(a.variant) - smallest.indexOf(b.variant));
  const folder = variants[0]?.path.replace(/[^/]+$/, '');
  const own = variants.map(({variant}) => `goldens/tfjs-${variant}.npz`);
  const wanted = ['contract.json', 'goldens/inputs.npz', 'goldens/outputs.npz', ...own, manifest.samples?.path];
  return Object.keys(manifest.files).filter((name) => wanted.includes(name) || name.startsWith('goldens/raw/') || (folder && name.startsWith(folder)));
}

/** The manifest of the bundle that the server has now; null where the model comes from a channel. */
async function fetchManifest(): Promise<{text: ArrayBuffer; content: Manifest} | null> {
  if (HAS_CHANNEL) return null;
  const answer = await fetch(address(MANIFEST), {cache: 'no-cache'});
  if (!answer.ok) throw new Error(`${MANIFEST}: ${answer.status}`);
  const text = await answer.arrayBuffer();
  return {text, content: JSON.parse(new TextDecoder().decode(text)) as Manifest};
}

/** Bring the version that the server has now; tells whether it is a new one. */
async function refresh(): Promise<boolean> {
  const manifest = await fetchManifest();
  const build = await hex(new TextEncoder().encode(JSON.stringify(APP)).buffer as ArrayBuffer);
  const name = `${PREFIX}${build.slice(0, 16)}-${manifest ? (await hex(manifest.text)).slice(0, 32) : 'channel'}`;
  const old = await current();
  if (name === old) return false;
  await caches.delete(name);
  const cache = await caches.open(name);
  try {
    const app = APP.filter(({lazy, channel}) => !lazy && (HAS_CHANNEL || !channel)).map(({name: file, sha256}) => [file, sha256] as const);
    const bundle = manifest ? needed(manifest.content).map((file) => [`bundle/${file}`, manifest.content.files[file]!] as const) : [];
    await Promise.all([...app, ...bundle].map(async ([file, sha256]) => cache.put(address(file), await fetched(file, sha256))));
    if (manifest) await cache.put(address(MANIFEST), new Response(manifest.text));
    await (await caches.open(POINTER)).put(address('current'), new Response(name));
  } catch (error) {
    await caches.delete(name);
    throw error;
  }
  await Promise.all((await caches.keys()).filter((key) => key.startsWith(PREFIX) && ![POINTER, name].includes(key)).map((key) => caches.delete(key)));
  return old !== undefined;
}

let under: Promise<void> | undefined;

/** Refresh, one at a time, and tell the pages. Being offline is no failure. */
function update(): Promise<void> {
  under ??= refresh()
    .then(async (changed) => tell(changed ? {kind: 'updated'} : {kind: 'ready', size: await size()}))
    .catch(async (error: unknown) => {
      const offline = error instanceof TypeError;
      if (offline && (await current())) return tell({kind: 'ready', size: await size()});
      return failed(error);
    })
    .finally(() => (under = undefined));
  return under;
}

function failed(error: unknown): Promise<void> {
  return tell({kind: 'failed', reason: error instanceof Error ? error.message : String(error)});
}

async function size(): Promise<number> {
  const cache = await caches.open((await current()) ?? POINTER);
  const bodies = (await cache.matchAll()).map(async (answer) => (await answer.arrayBuffer()).byteLength);
  return (await Promise.all(bodies)).reduce((sum, bytes) => sum + bytes, 0);
}

async function tell(news: unknown): Promise<void> {
  for (const client of await self.clients.matchAll({includeUncontrolled: true})) client.postMessage(news);
}

/** The kept copy; else the network, and what belongs to the version in use is kept from then on. */
async function respond(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const page = request.mode === 'navigate' ? address('index.html') : url.origin + url.pathname;
  const name = await current();
  if (!name) return fetch(request);
  const cache = await caches.open(name);
  const kept = await cache.match(page, {ignoreVary: true});
  if (kept) return kept;
  const answer = await fetch(request);
  const file = page.slice(self.registration.scope.length);
  if (answer.ok && (await expected(cache, file)) === (await hex(await answer.clone().arrayBuffer()))) {
    await cache.put(page, answer.clone());
  }
  return answer;
}

/** The digest that a file of the version in use must have. */
async function expected(cache: Cache, file: string): Promise<string | undefined> {
  if (!file.startsWith('bundle/')) return APP.find(({name}) => name === file)?.sha256;
  const manifest = (await (await cache.match(address(MANIFEST)))?.json()) as Manifest | undefined;
  return manifest?.files[file.slice('bundle/'.length)];
}

self.addEventListener('install', (event) => {
  // A page with a fault in its files, or a bundle that is damaged, is not kept: the old worker and its cache stay.
  event.waitUntil(
    refresh().then(
      () => self.skipWaiting(),
      async (error: unknown) => {
        await failed(error);
        throw error;
      },
    ),
  );
});
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('message', (event) => event.waitUntil(update()));
self.addEventListener('fetch', (event) => {
  const {request} = event;
  const channel = HAS_CHANNEL && request.url.startsWith(address('channel/')); // it may send what it likes: src/update bounds it
  if (request.method === 'GET' && request.url.startsWith(self.registration.scope) && !channel) event.respondWith(respond(request));
});
