/** The prediction: the best classes with their scores, or plain numbers, beside the server model's where it is known. */
import {className, type Manifest} from '../bundle/manifest';
import type {Tensors} from '../protocol';
import {argmax, milliseconds} from '../stats';
import {make} from './dom';

const MOST_CLASSES = 5;
const MOST_NUMBERS = 16;

export interface Shown {
  outputs: Tensors;
  ms: number;
  /** The server model's outputs for the same input, where the bundle holds them. */
  server?: Record<string, ArrayLike<number>>;
  /** The true class, where it is known. */
  label?: number | undefined;
}

export function showPrediction(place: HTMLElement, manifest: Manifest, shown: Shown): void {
  // With several outputs nobody knows which one the label belongs to.
  const several = Object.keys(shown.outputs).length > 1;
  const parts = Object.entries(shown.outputs).flatMap(([name, {data, shape}]) => {
    const server = shown.server?.[name];
    const title = several ? [make('h3', {text: name})] : [];
    return [...title, ...(isScores(shape, data) ? scores(manifest, data, server, several ? undefined : shown.label) : numbers(data, shape, server))];
  });
  parts.push(make('p', {className: 'hint', text: `This answer took ${milliseconds(shown.ms)}.`}));
  place.replaceChildren(...parts);
}

/** One sentence for screen readers and the status line. */
export function spoken(manifest: Manifest, {outputs}: Shown): string {
  const [first] = Object.values(outputs);
  if (!first || !isScores(first.shape, first.data)) return 'Predicted.';
  const best = argmax(first.data);
  return `Prediction: ${className(manifest, best)}.`;
}

/** A single row of several scores, one per class. */
function isScores(shape: number[], data: ArrayLike<number>): boolean {
  return shape.length === 2 && shape[0] === 1 && data.length >= 2;
}

function isShares(data: ArrayLike<number>): boolean {
  return Array.from(data).every((value) => value >= -1e-6 && value <= 1 + 1e-6);
}

function scores(manifest: Manifest, data: ArrayLike<number>, server: ArrayLike<number> | undefined, label: number | undefined): HTMLElement[] {
  const shares = isShares(data);
  const order = Array.from(data, (_, index) => index).sort((a, b) => data[b]! - data[a]!).slice(0, MOST_CLASSES);
  const [low, high] = shares ? [0, 1] : [Math.min(...Array.from(data)), data[order[0]!]!];
  const head = ['Class', shares ? 'Confidence' : 'Score', 'Here', ...(server ? ['Server'] : [])];
  const body = order.map((index, rank) => {
    const bar = make('div');
    bar.style.width = `${Math.max(0, Math.min(1, (data[index]! - low) / (high - low || 1))) * 100}%`;
    const cells = [
      make('td', {className: 'bar'}, [make('div', {}, [bar])]),
      make('td', {text: score(data[index]!, shares)}),
      ...(server ? [make('td', {text: score(server[index]!, shares)})] : []),
    ];
    const name = make('th', {text: className(manifest, index)});
    name.scope = 'row';
    return make('tr', {className: rank ? '' : 'best'}, [name, ...cells]);
  });
  const best = order[0]!;
  const found = [make('p', {className: 'answer', text: className(manifest, best)})];
  if (label !== undefined) {
    const verdict = label === best ? 'right' : `the label says ${className(manifest, label)}`;
    found.push(make('p', {className: 'hint', text: `Labelled sample: ${verdict}.`}));
  }
  if (server) {
    const same = argmax(server) === best;
    const text = same ? 'The server model gives the same answer.' : `The server model says ${className(manifest, argmax(server))}.`;
    found.push(make('p', {className: 'hint', text}));
  }
  return [...found, table(head, body)];
}

function numbers(data: ArrayLike<number>, shape: number[], server: ArrayLike<number> | undefined): HTMLElement[] {
  const count = Math.min(data.length, MOST_NUMBERS);
  const body = Array.from({length: count}, (_, index) => {
    const name = make('th', {text: String(index)});
    name.scope = 'row';
    return make('tr', {}, [name, make('td', {text: number(data[index]!)}), ...(server ? [make('td', {text: number(server[index]!)})] : [])]);
  });
  const more = data.length > count ? [make('p', {className: 'hint', text: `The first ${count} of ${data.length} values (${shape.slice(1).join(' × ')}).`})] : [];
  return [table(['Value', 'Here', ...(server ? ['Server'] : [])], body), ...more];
}

function table(head: string[], body: HTMLElement[]): HTMLElement {
  const titles = head.map((text) => {
    const cell = make('th', {text});
    cell.scope = 'col';
    return cell;
  });
  return make('table', {className: 'bars'}, [make('thead', {}, [make('tr', {}, titles)]), make('tbody', {}, body)]);
}

function score(value: number, shares: boolean): string {
  return shares ? `${(value * 100).toFixed(1)} %` : number(value);
}

function number(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}
