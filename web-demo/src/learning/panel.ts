/** The part of the page in which its user teaches the model: correct some answers, let it learn, undo. */
import type {Bundle} from '../bundle/bundle';
import {className} from '../bundle/manifest';
import type {Sample} from '../bundle/samples';
import type {Tensors} from '../protocol';
import {define, element, make} from '../ui/dom';
import type {Learner, Result} from './learner';
import {type Description, describe} from './package';

const ENOUGH = 10;

export class Teaching {
  #learner: Learner | undefined;
  #sample: Sample | undefined;
  #busy = false;

  private constructor(private readonly bundle: Bundle, private readonly description: Description, private readonly again: () => void) {}

  /** Offer it, where the bundle has what it takes; `again` answers the shown sample anew. */
  static async offer(bundle: Bundle, again: () => void): Promise<Teaching | undefined> {
    const description = globalThis.indexedDB ? await describe(bundle) : undefined;
    if (!description) return undefined;
    const teaching = new Teaching(bundle, description, again);
    teaching.#listen();
    teaching.#show();
    return teaching;
  }

  /** What is corrected from now on: what its user has chosen, also while the answer is being computed. */
  choose(sample: Sample): void {
    this.#sample = sample;
  }

  /** The outputs with the answers of a head that learned here; as they are where none did. */
  async replace(sample: Sample, outputs: Tensors): Promise<Tensors> {
    this.#show();
    const {output} = this.description;
    const data = this.#learner?.hasLearned && outputs[output] ? await this.#learner.answer(sample.inputs) : undefined;
    element('learned', HTMLElement).hidden = !data;
    if (!data || !outputs[output]) return outputs;
    return {...outputs, [output]: {...outputs[output], data}};
  }

  #listen(): void {
    const on = (id: string, what: () => Promise<void>) => element(id, HTMLElement).addEventListener('click', () => void this.#do(what));
    on('teach-open', () => this.#open());
    on('teach-correct', () => this.#correct());
    on('teach-learn', () => this.#learn());
    on('teach-forget', () => this.#forget());
    const choice = element('teach-label', HTMLSelectElement);
    const options = Array.from({length: this.description.outputs}, (_, index) => {
      const made = make('option', {text: className(this.bundle.manifest, index)});
      made.value = String(index);
      return made;
    });
    choice.replaceChildren(...options);
  }

  async #do(what: () => Promise<void>): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    this.#show();
    await what().catch((error: unknown) => this.#say(error instanceof Error ? error.message : String(error)));
    this.#busy = false;
    this.#show();
  }

  async #open(): Promise<void> {
    this.#say('Loading what it takes …');
    const {Learner: Kind} = await import('./learner');
    this.#learner = await Kind.open(this.bundle, this.description);
    this.#say(this.#learner.hasLearned ? 'The head that was learned here before answers.' : '');
    if (this.#learner.hasLearned) this.again();
  }

  async #correct(): Promise<void> {
    if (!this.#learner || !this.#sample) return;
    const label = Number(element('teach-label', HTMLSelectElement).value);
    await this.#learner.collect(this.#sample.inputs, label);
    this.#say(`Noted: ${className(this.bundle.manifest, label)}.`);
  }

  async #learn(): Promise<void> {
    if (!this.#learner) return;
    this.#say('Learning …');
    const result = await this.#learner.learn();
    this.#tell(result);
    this.again();
  }

  async #forget(): Promise<void> {
    await this.#learner?.forget();
    element('teach-result', HTMLElement).replaceChildren();
    this.#say('Forgotten: the model answers as it was shipped.');
    this.again();
  }

  #tell({kept, reason, samples, heldOut, steps, share, corrected, held, guard}: Result): void {
    const change = (pair: [number, number] | null) => (pair ? pair.map((share) => `${(share * 100).toFixed(1)} %`).join(' → ') : 'none');
    define(element('teach-result', HTMLElement), [
      [`Right, of ${samples - heldOut} corrected`, change(corrected)],
      [`Right, of ${heldOut} held out`, change(held)],
      [`Right, of ${this.description.samples.guard} that it knew`, change(guard)],
    ]);
    this.#say(kept ? `It has learned in ${steps} steps${share < 1 ? `, and goes ${share * 100} % of that way, so as to keep what it knew` : ''}; it answers with that from now on.` : `It stays as it was: ${reason}.`);
  }

  #say(text: string): void {
    element('teach-note', HTMLElement).textContent = text;
  }

  #show(): void {
    const learner = this.#learner;
    element('teach', HTMLElement).hidden = false;
    element('teach-open', HTMLElement).hidden = learner !== undefined;
    element('teach-tools', HTMLElement).hidden = learner === undefined;
    if (!learner) return;
    const few = learner.count < 2 || learner.classes < 2;
    element('teach-count', HTMLElement).textContent = `${learner.count} corrected${learner.count < ENOUGH ? `; ${ENOUGH} are a good start` : ''}.${few ? ' It needs two classes at least.' : ''}`;
    element('teach-correct', HTMLButtonElement).disabled = this.#busy || !this.#sample;
    element('teach-learn', HTMLButtonElement).disabled = this.#busy || few;
    element('teach-forget', HTMLButtonElement).disabled = this.#busy || (!learner.count && !learner.hasLearned);
  }
}
