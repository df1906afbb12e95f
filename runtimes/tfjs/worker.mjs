// `node worker.mjs --modules FOLDER`: the protocol of edgeship/runtimes/worker/__init__.py, for TF.js under Node.
import fs from 'node:fs';
import {Reader, send} from './wire.mjs';
import {run} from './batching.mjs';
import {load, start} from './model.mjs';

// A second rather than Python's half: V8 goes on optimizing for about that long.
const WARM_UP = {seconds: 1, queries: 5};
const STATUS = '/proc/self/status';

// Standard output carries the protocol; what libraries print goes to the log.
console.log = console.info = console.debug = console.error;

const memory = {baseline: 0, frozen: 0, method: 'VmHWM'};
let model = null;

const requests = {
  async load({path}) {
    const runtime = await start(process.argv[process.argv.indexOf('--modules') + 1]);
    startMemory();
    const begin = performance.now();
    model = await load(runtime, path);
    const load_ms = performance.now() - begin;
    return [{load_ms, version: runtime.tf.version_core, engine: runtime.engine, inputs: model.inputs, outputs: model.outputs}];
  },
  async run(_, feeds) {
    return [{}, await run(model, feeds)];
  },
  async first(_, feeds) {
    const begin = performance.now();
    const outputs = await model.infer(feeds);
    return [{first_ms: performance.now() - begin}, outputs];
  },
  async memory() {
    return [{peak_bytes: peak(), baseline_bytes: memory.baseline, method: memory.method}];
  },
  async latency({min_seconds, min_queries}, feeds) {
    await loop(feeds, Math.min(WARM_UP.seconds, min_seconds / 5), WARM_UP.queries);
    memory.frozen = peak(); // what the measurement itself keeps is not the model's
    const samples = await loop(feeds, min_seconds, min_queries);
    return [{engine: 'loop', valid: true, early_stopping_p90_ms: null, reason: 'LoadGen does not run under Node'}, samples];
  },
  async block({seconds}, feeds) {
    return [{}, await loop(feeds, seconds, 1)];
  },
};

/** Milliseconds of each query; stops when both limits are met. */
async function loop(feeds, seconds, queries) {
  const samples = [];
  const end = performance.now() + seconds * 1000;
  for (let done = -Infinity; done < end || samples.length < queries;) {
    const begin = performance.now();
    await model.infer(feeds);
    done = performance.now();
    samples.push(done - begin);
  }
  return {samples_ms: {dtype: '<f8', shape: [samples.length], data: Float64Array.from(samples)}};
}

/** The baseline is taken with TF.js imported and no model loaded; where the kernel allows, the peak begins here. */
function startMemory() {
  memory.baseline = fs.existsSync(STATUS) ? status('VmRSS') : process.memoryUsage.rss();
  if (!fs.existsSync(STATUS)) memory.method = 'ru_maxrss (since the process began)';
  else {
    try {
      fs.writeFileSync('/proc/self/clear_refs', '5');
    } catch {
      memory.method = 'VmHWM (since the process began)';
    }
  }
}

function peak() {
  if (memory.frozen) return memory.frozen;
  return fs.existsSync(STATUS) ? status('VmHWM') : process.resourceUsage().maxRSS * 1024;
}

function status(key) {
  return Number(fs.readFileSync(STATUS, 'utf8').match(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm'))[1]) * 1024;
}

const reader = new Reader(0);
for (let message = reader.next(); message !== null; message = reader.next()) {
  try {
    const [answer, arrays] = await requests[message.header.do](message.header, message.arrays);
    send(1, answer, arrays);
  } catch (error) {
    console.error(error);
    send(1, {error: {type: error.name, message: error.message}});
  }
}
process.exit(0);
