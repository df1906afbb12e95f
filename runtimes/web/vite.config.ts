import {createHash} from 'node:crypto';
import {readFileSync, readdirSync} from 'node:fs';
import {basename, join} from 'node:path';
import {defineConfig, type Plugin} from 'vite';

const PACKAGES = 'node_modules';
/** Files that the engines fetch by name, as their packages hold them; nothing comes from a CDN. */
const VERBATIM: Record<string, string[]> = {
  tfjs: ['', '-simd', '-threaded-simd'].map((kind) => `@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm${kind}.wasm`),
  litert: ['litert_wasm_internal', 'litert_wasm_threaded_internal'].flatMap((name) =>
    ['.js', '.wasm'].map((ending) => `@litertjs/core/wasm/${name}${ending}`)),
  ort: ['.mjs', '.wasm'].map((ending) => `onnxruntime-web/dist/ort-wasm-simd-threaded${ending}`),
};
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {dependencies: Record<string, string>};

/** What the page is built from; edgeship/runtimes/browser/found.py computes the same and refuses a page of other sources. */
function sources(): string {
  const below = (folder: string): string[] => readdirSync(folder, {withFileTypes: true}).flatMap((item) =>
    item.isDirectory() ? below(`${folder}/${item.name}`) : [`${folder}/${item.name}`]);
  const names = ['index.html', 'package-lock.json', 'vite.config.ts', ...below('src'), '../tfjs/batching.mjs', '../tfjs/graph.mjs'];
  const all = createHash('sha256');
  for (const name of names.sort()) all.update(`${name}\n`).update(createHash('sha256').update(readFileSync(name)).digest());
  return all.digest('hex');
}

const verbatim = (): Plugin => ({
  name: 'verbatim',
  generateBundle() {
    for (const [folder, files] of Object.entries(VERBATIM)) {
      for (const file of files) {
        this.emitFile({type: 'asset', fileName: `${folder}/${basename(file)}`, source: readFileSync(join(PACKAGES, file))});
      }
    }
    this.emitFile({type: 'asset', fileName: 'built.json', source: JSON.stringify({sources: sources()})});
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
