import {createHash} from 'node:crypto';
import {readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {defaultClientConditions, defineConfig, type Plugin} from 'vite';

// Threads in WebAssembly need a page that is isolated from other origins; any host that sends these two headers will do.
const isolation = {'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp'};

/**
 * TF.js starts its WebAssembly threads from the source text of a function. Minifiers rewrite a variable that the function
 * closes over into one that the text alone does not know, and the threads die with "e is not defined"; so it is made global.
 */
function threadedWasm(): Plugin {
  return {
    name: 'tfjs-threaded-wasm',
    enforce: 'pre',
    transform(code, id) {
      if (!id.includes('wasm-out/tfjs-backend-wasm-threaded-simd.js')) return null;
      const free = code
        .replace(/var _scriptDir = [^;]+;/, '')
        .replace(/if \(typeof __filename[^;]+;/, '')
        .replaceAll('_scriptDir', 'globalThis.__edgeshipScript');
      if (free === code) this.error('tfjs-backend-wasm has changed: look whether its threads survive the minifier');
      return {code: free, map: null};
    },
  };
}

/** Files that are not fetched before somebody needs them: other backends, browsers without SIMD, and what teaches. */
const LAZY = /^ort\/|assets\/(webgl|cpu|sha2|tfjs-backend-wasm|learner)-[\w-]{8}\.(js|wasm)$/;
/** What looks after models from an update channel. */
const CHANNEL = /assets\/(page|update-worker)-[\w-]{8}\.js$/;
const LIST = '__EDGESHIP_APP_FILES__';

/** ONNX Runtime Web's WebAssembly and its loader, as its package holds them: it fetches them by name. */
function onnxRuntime(): Plugin {
  return {
    name: 'onnx-runtime-files',
    apply: 'build',
    generateBundle() {
      for (const ending of ['mjs', 'wasm']) {
        const name = `ort-wasm-simd-threaded.${ending}`;
        this.emitFile({type: 'asset', fileName: `ort/${name}`, source: readFileSync(path.join('node_modules/onnxruntime-web/dist', name))});
      }
    },
  };
}

/** Writes into the service worker which files the page consists of, with their digests. */
function offlineList(): Plugin {
  return {
    name: 'offline-list',
    apply: 'build',
    writeBundle({dir}) {
      const root = dir ?? 'dist';
      const names = readdirSync(root, {recursive: true, encoding: 'utf8'}).map((name) => name.replaceAll(path.sep, '/'));
      const files = names.filter((name) => statSync(path.join(root, name)).isFile() && name !== 'sw.js' && !name.endsWith('.map'));
      const digest = (name: string) => createHash('sha256').update(readFileSync(path.join(root, name))).digest('hex');
      const list = files.sort().map((name) => ({name, sha256: digest(name), lazy: LAZY.test(name), channel: CHANNEL.test(name)}));
      const worker = path.join(root, 'sw.js');
      const code = readFileSync(worker, 'utf8');
      if (!code.includes(LIST)) this.error('the service worker has no place for the list of files');
      writeFileSync(worker, code.replace(LIST, JSON.stringify(list).replaceAll('"', '\\"')));
    },
  };
}

export default defineConfig({
  base: './',
  server: {headers: isolation},
  preview: {headers: isolation},
  worker: {format: 'es', plugins: () => [threadedWasm()]},
  // ONNX Runtime Web's JavaScript without its loader inside: that one is a file of its own.
  resolve: {conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions]},
  plugins: [threadedWasm(), onnxRuntime(), offlineList()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: {polyfill: false},
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      input: {index: 'index.html', sw: 'src/sw.ts'},
      output: {entryFileNames: (chunk) => (chunk.name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js')},
    },
  },
  test: {include: ['tests/**/*.test.ts']},
} as Parameters<typeof defineConfig>[0]);
