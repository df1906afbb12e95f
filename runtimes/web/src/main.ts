/** The page that the worker (edgeship/runtimes/browser) drives: it answers requests in their order, and does nothing by itself. */
import {run} from '../../tfjs/batching.mjs';
import {Refusal, type Engine, type Model, type Wanted} from './engine';
import {graphics} from './graphics';
import {filling, loop, resolution, spin, warmUp} from './timing';
import {described, type Message, type Tensors} from './wire';

type Header = Record<string, unknown>;
type Handler = (header: Header, feeds: Tensors) => Promise<[Header, Tensors?]>;

const ENGINES: Record<string, () => Promise<{start(wanted: Wanted): Promise<Engine>}>> = {
  tfjs: () => import('./engines/tfjs'),
  litert: () => import('./engines/litert'),
  ort: () => import('./engines/ort'),
  mediapipe: () => import('./engines/mediapipe'),
};
let engine: Engine | null = null;
let model: Model | null = null;
let active: Header = {};

function loaded(): Model {
  if (!model) throw new Error('no model is loaded');
  return model;
}

/** Read the engine back: an engine that fell back to something else must not be measured under the name it was asked for. */
function check(wanted: Wanted): Header {
  if (!engine) throw new Error('no engine is started');
  const found = engine.active();
  if (found.backend !== wanted.backend) throw new Refusal(`the active backend is ${found.backend}, not ${wanted.backend}`);
  if (found.threads !== undefined && found.threads !== wanted.threads && wanted.backend === 'wasm') {
    throw new Refusal(`the engine runs ${found.threads} threads, not the ${wanted.threads} asked for`);
  }
  return found;
}

const handlers: Record<string, Handler> = {
  async start(header) {
    const wanted = header as unknown as Wanted;
    const begin = performance.now();
    engine = await (await ENGINES[wanted.engine]()).start(wanted);
    const start_ms = performance.now() - begin;
    active = {...check(wanted), ...(await graphics(wanted.backend)), start_ms, clock_resolution_ms: resolution(), isolated: crossOriginIsolated};
    return [{version: engine.version}];
  },
  async load(header) {
    if (!engine) throw new Error('no engine is started');
    const begin = performance.now();
    model = await engine.load(new URL(header.url as string, location.href).href);
    const load_ms = performance.now() - begin;
    active = {...active, ...check(header as unknown as Wanted)};
    return [{load_ms, inputs: model.inputs, outputs: model.outputs, engine: active}];
  },
  async run(_, feeds) {
    return [{}, await run(loaded(), feeds)];
  },
  async first(_, feeds) {
    const begin = performance.now();
    const outputs = await loaded().infer(feeds);
    return [{first_ms: performance.now() - begin}, outputs];
  },
  async warm({seconds}, feeds) {
    await warmUp(() => loaded().infer(feeds), seconds as number);
    return [{}];
  },
  /** A sample is the mean of `together` queries; where that is null, of as many as fill `fill_ms`. */
  async loop({seconds, queries, fill_ms, together: known}, feeds) {
    const once = (): Promise<Tensors> => loaded().infer(feeds);
    const together = (known as number | null) ?? (fill_ms ? await filling(once, fill_ms as number) : 1);
    const samples = await loop(once, seconds as number, queries as number, together);
    return [{together}, {samples_ms: {dtype: '<f8', shape: [samples.length], data: Float64Array.from(samples)}}];
  },
  async spin() {
    return [{ms: spin()}];
  },
  async memory() {
    return [{engine_bytes: engine?.bytes() ?? null}];
  },
};

async function answer({header, arrays}: Message): Promise<Message> {
  try {
    if (header.failure) return {header: {error: header.failure}, arrays: {}};
    const [told, found = {}] = await handlers[header.do as string](header, arrays);
    // A copy to give away: an engine may keep what it gave.
    const copies = Object.entries(found).map(([name, array]) => [name, {...array, data: array.data.slice()}]);
    return {header: told, arrays: Object.fromEntries(copies)};
  } catch (error) {
    console.error(error);
    return {header: {error: described(error)}, arrays: {}};
  }
}

const carrier = new Worker(new URL('./carrier.ts', import.meta.url), {type: 'module'});
let turn = Promise.resolve();
let given = 0;
let broken = '';
let told = (): void => {};

carrier.addEventListener('message', ({data}: MessageEvent<Message>) => {
  turn = turn.then(async () => {
    const message = await answer(data);
    carrier.postMessage(message, Object.values(message.arrays).map(({data: {buffer}}) => buffer));
    given++;
    told();
  });
});
carrier.addEventListener('error', ({message}) => {
  broken = `its carrier failed: ${message}`;
  told();
});

/** Wait until so many requests have been answered since the page was opened. One waits at a time. */
async function answered(count: number): Promise<void> {
  while (given < count) {
    if (broken) throw new Error(broken);
    await new Promise<void>((resolve) => { told = resolve; });
  }
}

Object.assign(globalThis, {edgeship: {answered}});
