/** The page: brings the bundle, the inputs and the results together. */
import {Bundle} from './bundle/bundle';
import {type Artifact, browserArtifacts, figure} from './bundle/manifest';
import {readGoldens} from './bundle/goldens';
import type {NumpyArray} from './bundle/npz';
import {type Group, readSamples, type Sample} from './bundle/samples';
import {Closed, Engine} from './engine';
import {keepOffline} from './offline';
import {type Picture, type PictureInput, toPicture, toTensor} from './preprocess';
import {type Backend, BACKENDS} from './protocol';
import {type Goldens, toFile, withLatency} from './selftest';
import {order, prepare, type Prepared, Session} from './session';
import type {Teaching} from './learning/panel';
import type {openChannel} from './update/page';
import {embeddedReports} from './telemetry/place';
import type {Reporting} from './telemetry/panel';
import {embeddedChannel} from './update/place';
import {bytes} from './stats';
import {camera} from './ui/camera';
import {define, element, make} from './ui/dom';
import {drawing} from './ui/draw';
import {deviceFacts, modelCard, testFacts} from './ui/facts';
import {gallery, unmark} from './ui/gallery';
import {pictureFiles} from './ui/pictures';
import {paint} from './ui/plot';
import {showPrediction, spoken} from './ui/prediction';
import {type Tab, tabs} from './ui/tabs';

const status = element('status', HTMLElement);
const backends = element('backend', HTMLSelectElement);
const variants = element('variant', HTMLSelectElement);
const retest = element('retest', HTMLButtonElement);

const channel = embeddedChannel();
let fromChannel: Awaited<ReturnType<typeof openChannel>> | undefined;
let bundle: Bundle;
let goldens: Goldens;
let artifacts: Artifact[] = [];
let session: Session | undefined;
let shown: Sample | undefined;
let touched = false;
let reporting: Reporting | undefined;
let teaching: Teaching | undefined;

/** Screen readers read this aloud, so the same text is not set twice: the camera would never let them rest. */
function say(text: string): void {
  if (status.textContent !== text) status.textContent = text;
}

function alarm(message: string | null): void {
  const place = element('alert', HTMLElement);
  place.textContent = message ?? '';
  place.hidden = message === null;
}

function badge(state: 'busy' | 'pass' | 'fail', text: string): void {
  const place = element('badge', HTMLElement);
  place.dataset.state = state;
  place.textContent = text;
}

/** Bring a variant to a backend, test it, and answer the chosen input again. Where it fails, what ran before stays. */
async function use(artifact: Artifact, wanted: readonly Backend[], prepared?: Prepared): Promise<boolean | undefined> {
  const before = session;
  busy(true);
  say(`Loading ${artifact.variant} …`);
  try {
    const refused: string[] = [];
    const next = await Session.start(bundle, artifact, goldens, wanted, (backend, reason) => refused.push(`${backend}: ${reason}`), prepared);
    session = next;
    before?.close();
    alarm(refused.length ? `${refused.join(' ')} The model runs on ${next.opened.backend} instead.` : null);
    define(element('card', HTMLElement), modelCard(bundle.manifest, artifact).map(([term, value]) => [term, value]));
    if (shown) await predict(shown);
    return await test(next);
  } catch (error) {
    if (error instanceof Closed) return undefined;
    const kept = before ? ` ${before.artifact.variant} on ${before.opened.backend} is still in use.` : '';
    alarm(message(error) + kept);
    say('');
    if (!before) badge('fail', 'Self-test: not possible');
    return undefined;
  } finally {
    busy(false);
    backends.value = session?.opened.backend ?? backends.value;
    variants.value = session?.artifact.id ?? variants.value;
  }
}

function busy(is: boolean): void {
  backends.disabled = variants.disabled = is;
  retest.disabled = is || !session;
}

/** The self-test, then the latency; the page shows each as soon as it is there. Tells whether it passed. */
async function test(running: Session): Promise<boolean> {
  badge('busy', 'Self-test: running');
  say('Replaying the goldens …');
  const found = await running.test();
  define(element('test', HTMLElement), testFacts(found));
  define(element('figures', HTMLElement), deviceFacts(found, running.size));
  const full = withLatency(found, await running.time());
  define(element('figures', HTMLElement), deviceFacts(full, running.size));
  const worst = Object.entries(full.outputs).find(([, output]) => !output.passed);
  const reason = worst ? `${worst[0]} is off by ${worst[1].maxAbsError.toPrecision(2)}` : 'the preprocessing differs';
  badge(full.passed ? 'pass' : 'fail', full.passed ? 'Self-test: passed' : `Self-test: failed, ${reason}`);
  say(`Ready: ${running.artifact.variant} on ${running.opened.backend}.`);
  const link = element('download', HTMLAnchorElement);
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([toFile(full, bundle.manifest)], {type: 'application/json'}));
  link.download = `edgeship-selftest-${running.artifact.variant}-${running.opened.backend}.json`;
  link.hidden = false;
  return full.passed;
}

async function predict(sample: Sample): Promise<void> {
  shown = sample;
  teaching?.choose(sample);
  const running = session;
  if (!running) return;
  try {
    const {outputs: shipped, ms} = await running.predict(sample.inputs);
    reporting?.count(running, sample.inputs, shipped, ms);
    const outputs = (await teaching?.replace(sample, shipped)) ?? shipped;
    const prediction = {outputs, ms, label: sample.label, ...(sample.server ? {server: sample.server} : {})};
    showPrediction(element('prediction', HTMLElement), bundle.manifest, prediction);
    showSeen(sample);
    say(spoken(bundle.manifest, prediction));
  } catch (error) {
    if (error instanceof Closed) return;
    alarm(message(error));
    reporting?.error(running);
  }
}

/** What the model gets to see, where that is a picture. */
function showSeen(sample: Sample): void {
  const [name, how] = Object.entries(bundle.manifest.pictures)[0] ?? [];
  const array = name === undefined ? undefined : sample.inputs[name];
  element('seen', HTMLElement).hidden = !array;
  if (array && how) paint(element('seen-picture', HTMLCanvasElement), toPicture(array.data, how));
}

/** Drawing, files and camera, for models whose one input is a picture. */
function pictureInputs(name: string, how: PictureInput): Tab[] {
  const take = (picture: Picture) => {
    const data = toTensor(picture, how);
    const input: NumpyArray = {dtype: '<f4', shape: [1, how.height, how.width, how.channels], data};
    unmark(element('samples', HTMLElement));
    return predict({name: 'picture', inputs: {[name]: input}});
  };
  drawing(element('pad', HTMLCanvasElement), element('clear', HTMLButtonElement), (picture) => void take(picture));
  const drop = element('drop', HTMLElement);
  pictureFiles(element('file', HTMLInputElement), drop, (picture) => void take(picture), alarm);
  stopCamera = camera(take);
  return [{id: 'draw', title: 'Draw'}, {id: 'file', title: 'Picture'}, {id: 'camera', title: 'Camera'}];
}
let stopCamera = () => {};

function showInputs(groups: Group[]): void {
  const {manifest} = bundle;
  gallery(element('samples', HTMLElement), manifest, groups, (sample) => void predict(sample));
  const [picture] = Object.entries(manifest.pictures);
  const single = manifest.server_model.inputs.length === 1;
  const more = picture && single ? pictureInputs(...picture) : [];
  tabs(element('tabs', HTMLElement), [{id: 'samples', title: 'Samples'}, ...more], (id) => id !== 'camera' && stopCamera());
}

function showChoices(): void {
  backends.replaceChildren(...BACKENDS.map((name) => option(name, name)));
  variants.replaceChildren(...artifacts.map(({id, variant}) => option(id, variant + size(id))));
  const chosen = () => artifacts.find(({id}) => id === variants.value) ?? artifacts[0]!;
  backends.addEventListener('change', () => void use(chosen(), [backends.value as Backend]));
  variants.addEventListener('change', () => void use(chosen(), [session?.opened.backend ?? 'wasm']));
  retest.addEventListener('click', () => session && void again(session));
}

async function again(running: Session): Promise<void> {
  busy(true);
  await test(running).catch((error: unknown) => alarm(message(error)));
  busy(false);
}

function size(id: string): string {
  const found = figure(bundle.manifest, id, 'size_disk_bytes');
  return found === null ? '' : `, ${bytes(found)}`;
}

function option(value: string, text: string): HTMLOptionElement {
  const made = make('option', {text});
  made.value = value;
  return made;
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Offline use comes last, so that it does not compete with the first prediction for the network. */
function offline(): void {
  const note = element('offline', HTMLElement);
  const reload = () => location.reload();
  element('reload', HTMLButtonElement).addEventListener('click', reload);
  void keepOffline(
    (news) => {
      if (news.kind === 'ready') note.textContent = `It also works offline: ${bytes(news.size)} are kept on this device.`;
      if (news.kind === 'failed') note.textContent = `This version could not be kept for offline use (${news.reason}).`;
      if (news.kind === 'updated' && touched) element('update', HTMLElement).hidden = false;
      if (news.kind === 'updated' && !touched) reload();
    },
    (reason) => (note.textContent = reason),
  );
}

/** Whether a version of the channel passes its self-test in this browser, beside the one that runs. */
async function passes(candidate: Bundle): Promise<boolean> {
  const [artifact] = browserArtifacts(candidate.manifest);
  const read = await readGoldens(candidate, [artifact!]);
  try {
    const started = await Session.start(candidate, artifact!, read, order('wasm'), () => {});
    return await started.test().then(({passed}) => passed).finally(() => started.close());
  } catch (error) {
    // Where another version runs, it is this one that does not; else it may be the browser.
    if (session) return false;
    throw error;
  }
}

async function openBundle(): Promise<Bundle> {
  if (!channel) return Bundle.open('bundle/');
  say('Opening the model …');
  const page = await import('./update/page');
  fromChannel = await page.openChannel(channel, {test: passes, alarm, stop});
  return fromChannel.bundle;
}

function stop(): void {
  session?.close();
  session = undefined;
  badge('fail', 'No model');
}

/** Counting comes last, and is never in the way. */
async function offerReports(): Promise<void> {
  const place = embeddedReports();
  if (place) reporting = await import('./telemetry/panel').then(({Reporting: Panel}) => Panel.offer(place, bundle, () => fromChannel?.arms() ?? {})).catch(() => undefined);
}

/** The panel comes last; what it takes to learn is loaded when somebody starts it. */
async function offerTeaching(): Promise<void> {
  if (!bundle.has('learning/learning.json')) return;
  const again = () => shown && void predict(shown);
  teaching = await import('./learning/panel').then(({Teaching: Panel}) => Panel.offer(bundle, again)).catch(() => undefined);
  if (teaching) again();
}

async function start(): Promise<void> {
  const wanted = order('wasm');
  const engine = Engine.prepared(wanted[0]!);
  bundle = await openBundle().catch((error: unknown) => {
    engine.close();
    throw error;
  });
  artifacts = browserArtifacts(bundle.manifest);
  const prepared = prepare(bundle, artifacts[0]!, engine, wanted[0]!);
  const {labels, server_model: server} = bundle.manifest;
  const classes = labels ? `${labels.length} classes` : server.outputs.map(({name}) => name).join(', ');
  element('subtitle', HTMLElement).textContent = `${server.path.split('/').at(-1)}: ${classes}, running in this browser.`;
  goldens = await readGoldens(bundle, artifacts);
  showChoices();
  const groups = await readSamples(bundle, goldens);
  shown = groups[0]?.samples[0];
  const used = use(artifacts[0]!, wanted, prepared); // the worker computes while the page draws
  showInputs(groups);
  const passed = await used;
  await fromChannel?.tested(passed);
  await offerReports();
  await offerTeaching();
}

for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, () => (touched = true), {once: true});
start()
  .catch((error: unknown) => {
    alarm(message(error));
    badge('fail', 'Self-test: not possible');
    say('');
  })
  .finally(offline);
