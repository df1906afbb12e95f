/** The samples to choose from: labelled ones of the test data where the site holds some, then the goldens. */
import {countGoldens, type Goldens} from '../selftest';
import type {Bundle} from './bundle';
import {className} from './manifest';
import {type NumpyArray, rows} from './npz';

export interface Group {
  title: string;
  samples: Sample[];
}

export interface Sample {
  name: string;
  inputs: Record<string, NumpyArray>;
  label?: number | undefined;
  server?: Record<string, ArrayLike<number>>;
}

/** Labels are the array `y` of classes; anything else is no answer that could be right or wrong. */
export async function readSamples(bundle: Bundle, goldens: Goldens): Promise<Group[]> {
  const {manifest} = bundle;
  const last = {title: 'Goldens, with the server model’s answers', samples: fromGoldens(goldens)};
  if (!manifest.samples) return [last];
  const arrays = await bundle.arrays(manifest.samples.path);
  const labels = arrays.y;
  const inputs = Object.fromEntries(Object.entries(arrays).filter(([name]) => name !== 'y'));
  const labelled = Array.from({length: manifest.samples.count}, (_, index): Sample => {
    const label = labels?.shape.length === 1 ? Number(labels.data[index]) : undefined;
    return {
      name: label === undefined ? `Sample ${index + 1}` : className(manifest, label),
      inputs: cut(inputs, index),
      label,
    };
  });
  return [{title: manifest.samples.source, samples: labelled}, last];
}

function fromGoldens(goldens: Goldens): Sample[] {
  return Array.from({length: countGoldens(goldens)}, (_, index) => ({
    name: `Golden ${index + 1}`,
    inputs: cut(goldens.inputs, index),
    server: Object.fromEntries(Object.entries(goldens.server).map(([name, array]) => [name, rows(array, index, index + 1).data])),
  }));
}

function cut(arrays: Record<string, NumpyArray>, index: number): Record<string, NumpyArray> {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, rows(array, index, index + 1)]));
}
