/** The part of the page that asks whether it may count and send, shows what that would be, and counts. */
import type {Bundle} from '../bundle/bundle';
import type {NumpyArray} from '../bundle/npz';
import type {Tensors} from '../protocol';
import type {Session} from '../session';
import {element} from '../ui/dom';
import {Counter, type Profile} from './counter';
import type {ReportsPlace} from './place';
import type {Identity} from './report';

const FILE = 'profile.json';
const ANSWER = 'edgeship-reports';
const SAVE_MS = 1000;
const HOUR = 3_600_000;
const CANNOT = 'This browser cannot keep counts.';
/** Nothing of it is loaded before somebody looks or agrees. */
const outbox = () => import('./outbox');

export class Reporting {
  #counter: Counter | undefined;
  #identity: Identity | undefined;
  #week = 0;
  #predicted: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(private readonly place: ReportsPlace, private readonly profile: Profile, private readonly digest: string, private readonly arms: () => Record<string, string>) {}

  /** Ask, where there is something to count by and the browser can do what it takes. */
  static async offer(place: ReportsPlace, bundle: Bundle, arms: () => Record<string, string>): Promise<Reporting | undefined> {
    if (!bundle.has(FILE) || !globalThis.crypto?.subtle || !globalThis.indexedDB) return undefined;
    const profile = JSON.parse(new TextDecoder().decode(await bundle.file(FILE))) as Profile;
    if (profile.kind !== 'edgeship-profile' || profile.schema !== 1) return undefined;
    const reporting = new Reporting(place, profile, bundle.manifest.files[FILE]!, arms);
    reporting.#listen();
    reporting.#show();
    void reporting.#send();
    return reporting;
  }

  /** Count an inference, where nobody said that nothing shall be counted. */
  count(session: Session, inputs: Record<string, Pick<NumpyArray, 'data'>>, outputs: Tensors, ms: number): void {
    const counter = this.#of(session);
    if (!counter) return;
    const data = (tensors: Record<string, {data: ArrayLike<number>}>) => Object.fromEntries(Object.entries(tensors).map(([name, item]) => [name, Float32Array.from(item.data)]));
    try {
      this.#predicted = counter.count(data(outputs), data(inputs), ms);
    } catch {
      return; // tensors of another profile: an answer is worth more than its count
    }
    element('reports-answer', HTMLElement).hidden = this.#allowed !== true || this.#predicted === undefined;
    this.#changed();
  }

  /** Count an inference that failed. */
  error(session: Session): void {
    this.#of(session)?.error('failed');
    this.#changed();
  }

  /** Whether it may; null where nobody has said yet. Other tabs may have been told since. */
  get #allowed(): boolean | null {
    const said = localStorage.getItem(ANSWER);
    return said === null ? null : said === 'yes';
  }

  /** The counter of what runs; what another artifact counted is kept first. */
  #of({artifact, opened}: Session): Counter | undefined {
    const content = this.profile.artifacts[artifact.id];
    if (this.#allowed === false || !content) return undefined;
    const runtime = `TF.js ${opened.backend}`;
    const week = Math.floor((Date.now() - 345_600_000) / 604_800_000);
    const identity = {bundle: this.place.bundle, artifact: artifact.id, content, profile: this.digest, arms: this.arms(), runtime, tier: tier()};
    if (JSON.stringify(identity) !== JSON.stringify(this.#identity) || week !== this.#week) {
      void this.#save();
      this.#identity = identity;
      [this.#counter, this.#week] = [new Counter(this.profile), week];
    }
    return this.#counter;
  }

  #changed(): void {
    if (this.#allowed) this.#timer ??= setTimeout(() => void this.#save(), SAVE_MS);
    if (element('reports-details', HTMLDetailsElement).open) void this.#preview();
  }

  /** Keep what was counted, where that is allowed; else it stays with the page. */
  async #save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#allowed || !this.#counter) return;
    const [identity, counts, week] = [this.#identity!, this.#counter.take(), this.#week];
    await outbox().then(({keep}) => keep(identity, counts, week)).catch(() => this.#say(CANNOT));
  }

  async #send(now = false): Promise<void> {
    if (!this.#allowed) return;
    await this.#save();
    const result = await outbox().then(({send}) => send(this.place.url, now)).catch(() => this.#say(CANNOT));
    if (!result) return;
    const {sent, refused, waiting} = result;
    const parts = [sent && `${reports(sent)} sent.`, refused && `${reports(refused)} refused by the server.`, waiting && `${reports(waiting)} kept until it can be reached.`];
    const text = parts.filter(Boolean).join(' ');
    if (text || now) this.#say(text || 'There is nothing to send.');
    if (element('reports-details', HTMLDetailsElement).open) await this.#preview();
  }

  async #preview(): Promise<void> {
    await this.#save();
    const {preview} = await outbox();
    const unkept = this.#counter && {identity: this.#identity!, week: this.#week, counts: this.#counter.counts};
    const found = this.#allowed ? await preview() : this.#allowed === null && unkept ? await preview(unkept) : [];
    element('reports-preview', HTMLElement).textContent = found.length ? found.map((item) => JSON.stringify(item)).join('\n\n') : 'Nothing.';
  }

  #say(text: string): void {
    element('reports-note', HTMLElement).textContent = text;
  }

  #show(): void {
    const host = new URL(this.place.url).host;
    const allowed = this.#allowed;
    const texts = {
      ask: `May this page count what the model answers here, and send the counts to ${host} once a week? Counts only: nothing that you enter, and no name. The page works the same without.`,
      yes: `This page sends counts to ${host} once a week.`,
      no: 'Nothing is counted or sent.',
    };
    element('reports-text', HTMLElement).textContent = texts[allowed === null ? 'ask' : allowed ? 'yes' : 'no'];
    element('reports-yes', HTMLElement).hidden = allowed === true;
    const refuse = element('reports-no', HTMLElement);
    refuse.hidden = allowed === false;
    refuse.textContent = allowed ? 'Stop, and delete the counts' : 'No, thanks';
    element('reports-send', HTMLElement).hidden = !allowed;
    element('reports-answer', HTMLElement).hidden = !allowed || this.#predicted === undefined;
    element('reports', HTMLElement).hidden = false;
  }

  #listen(): void {
    const on = (id: string, what: () => void | Promise<void>) =>
      element(id, HTMLElement).addEventListener('click', () => void Promise.resolve(what()).catch(() => this.#say(CANNOT)));
    on('reports-yes', () => this.#decide(true));
    on('reports-no', () => this.#decide(false));
    on('reports-send', () => this.#send(true));
    on('reports-right', () => this.#outcome('accepted'));
    on('reports-wrong', () => this.#outcome('corrected'));
    element('reports-details', HTMLDetailsElement).addEventListener('toggle', () => void this.#preview());
    addEventListener('storage', ({key}) => key === ANSWER && this.#follow());
    addEventListener('visibilitychange', () => document.hidden && void this.#save());
    addEventListener('online', () => void this.#send());
    setInterval(() => void this.#send(), HOUR);
  }

  async #decide(allowed: boolean): Promise<void> {
    localStorage.setItem(ANSWER, allowed ? 'yes' : 'no');
    this.#follow();
    if (!allowed) await (await outbox()).forget();
    await (allowed ? this.#save() : this.#preview());
  }

  /** Do as was said, here or in another tab. */
  #follow(): void {
    if (this.#allowed === false) this.#counter?.take();
    this.#say('');
    this.#show();
  }

  #outcome(event: string): void {
    if (this.#predicted === undefined) return;
    this.#counter?.outcome(event, this.#predicted);
    this.#predicted = undefined;
    element('reports-answer', HTMLElement).hidden = true;
    this.#changed();
  }
}

const reports = (count: number) => `${count} report${count === 1 ? '' : 's'}`;

function tier(): string {
  const cores = navigator.hardwareConcurrency;
  return !cores ? 'unknown' : cores <= 2 ? 'low' : cores <= 6 ? 'mid' : 'high';
}
