import {createHash} from 'node:crypto';
import {readFileSync, readdirSync} from 'node:fs';
import {basename, join} from 'node:path';
import {gzipSync} from 'node:zlib';
import {defineConfig, type Plugin, type Rolldown} from 'vite';

const PACKAGES = 'node_modules';
/** Files that the engines fetch by name, as their packages hold them; nothing comes from a CDN. */
const VERBATIM: Record<string, string[]> = {
  tfjs: ['', '-simd', '-threaded-simd'].map((kind) => `@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm${kind}.wasm`),
  litert: ['litert_wasm_internal', 'litert_wasm_threaded_internal'].flatMap((name) =>
    ['.js', '.wasm'].map((ending) => `@litertjs/core/wasm/${name}${ending}`)),
  ort: ['.mjs', '.wasm'].map((ending) => `onnxruntime-web/dist/ort-wasm-simd-threaded${ending}`),
  mediapipe: ['.js', '.wasm'].map((ending) => `@mediapipe/tasks-vision/wasm/vision_wasm_internal${ending}`),
};
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {dependencies: Record<string, string>};

/** What the page is built from; edgeship/runtimes/browser/requirements.py computes the same and refuses a page of other sources. */
function sources(): string {
  const below = (folder: string): string[] => readdirSync(folder, {withFileTypes: true}).flatMap((item) =>
    item.isDirectory() ? below(`${folder}/${item.name}`) : [`${folder}/${item.name}`]);
  const names = ['index.html', 'package-lock.json', 'vite.config.ts', ...below('src'), '../tfjs/batching.mjs', '../tfjs/graph.mjs'];
  const all = createHash('sha256');
  for (const name of names.sort()) all.update(`${name}\n`).update(createHash('sha256').update(readFileSync(name)).digest());
  return all.digest('hex');
}

/** Which modules an engine's part of the page begins with, and which of the verbatim files its plain start on WebAssembly fetches. */
const PARTS: Record<string, {modules: string[]; files: RegExp}> = {
  tfjs: {modules: ['/engines/tfjs.ts', '/tfjs-backend-wasm/'], files: /^tfjs\/tfjs-backend-wasm-simd\.wasm$/},
  litert: {modules: ['/engines/litert.ts'], files: /^litert\/litert_wasm_internal\./},
  ort: {modules: ['/engines/ort.ts'], files: /^ort\//},
  mediapipe: {modules: ['/engines/mediapipe.ts'], files: /^mediapipe\//},
};

/** What each engine costs a page to download: bytes with gzip -9, JavaScript as it is here (not minified). */
function downloads(bundle: Rolldown.OutputBundle, verbatim: Record<string, Uint8Array>): Record<string, number> {
  const size = (content: string | Uint8Array): number => gzipSync(content, {level: 9}).length;
  const withImports = (name: string): string[] => {
    const chunk = bundle[name];
    return chunk?.type === 'chunk' && !chunk.isEntry ? [name, ...chunk.imports.flatMap(withImports)] : [];
  };
  return Object.fromEntries(Object.entries(PARTS).map(([engine, {modules, files}]) => {
    const chunks = Object.values(bundle).filter((item) => item.type === 'chunk' && item.moduleIds.some((id) => modules.some((part) => id.includes(part))));
    const names = [...new Set(chunks.flatMap(({fileName}) => withImports(fileName)))];
    const code = names.map((name) => bundle[name]).map((item) => (item?.type === 'chunk' ? size(item.code) : 0));
    const rest = Object.entries(verbatim).filter(([name]) => files.test(name)).map(([, content]) => size(content));
    return [engine, [...code, ...rest].reduce((sum, bytes) => sum + bytes, 0)];
  }));
}

const verbatim = (): Plugin => ({
  name: 'verbatim',
  generateBundle(_, bundle) {
    const copied: Record<string, Uint8Array> = {};
    for (const [folder, files] of Object.entries(VERBATIM)) {
      for (const file of files) {
        copied[`${folder}/${basename(file)}`] = readFileSync(join(PACKAGES, file));
      }
    }
    const built = JSON.stringify({sources: sources(), downloads: downloads(bundle, copied)});
    for (const [fileName, source] of Object.entries({...copied, 'built.json': built})) this.emitFile({type: 'asset', fileName, source});
  },
});

export default defineConfig({
  base: './',
  define: {VERSIONS: JSON.stringify(manifest.dependencies)},
  // ONNX Runtime Web's JavaScript without its WebAssembly loader inside: that one is served as it is, since it starts workers.
  resolve: {conditions: ['onnxruntime-web-use-extern-wasm', 'module', 'browser', 'import', 'default']},
  plugins: [verbatim()],
  // Minified, the worker of TF.js's threaded WebAssembly breaks: it is made from a function's text. Size hardly matters here.
  build: {target: 'es2022', minify: false, assetsInlineLimit: 0, chunkSizeWarningLimit: 4000, modulePreload: false},
});
