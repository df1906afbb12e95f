import {readFileSync} from 'node:fs';
import {gzipSync} from 'node:zlib';
import path from 'node:path';
import {build, type Rollup} from 'vite';
import {describe, expect, it} from 'vitest';
import {Counter, type Counts, type Profile, type Tensors} from '../src/telemetry/counter';
import {add} from '../src/telemetry/outbox';
import {nameWeek, pseudonym, weekOf} from '../src/telemetry/report';

interface Sample {
  inputs: Record<string, unknown>;
  outputs: Record<string, unknown>;
  ms: number | null;
}
interface Case {
  name: string;
  profile: Profile;
  samples: Sample[];
  counts: Record<string, unknown>;
}

/** Written by tests/monitoring/make_vectors.py; a test in Python says that NumPy's counts are these. */
const cases = JSON.parse(readFileSync(new URL('../../tests/monitoring/vectors.json', import.meta.url), 'utf8')) as Case[];

function flat(value: unknown): number[] {
  return Array.isArray(value) ? value.flatMap(flat) : [value === null ? NaN : (value as number)];
}
const tensors = (values: Record<string, unknown>): Tensors => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Float32Array.from(flat(value))]));
const pairs = (cells: Record<string, number>) => Object.entries(cells).flatMap(([cell, count]) => [Number(cell), count]);

/** The counts as a report has them. */
function shown({fallbacks, outcomes, ...counts}: Counts): unknown {
  const outputs = Object.entries(counts.outputs).map(([name, item]) => [name, item.kind === 'classes' ? {...item, joint: pairs(item.joint)} : item]);
  return {...counts, outputs: Object.fromEntries(outputs), latency: pairs(counts.latency)};
}

describe('a counter', () => {
  it.each(cases.map((item) => [item.name, item] as const))('counts as NumPy does: %s', (_, {profile, samples, counts}) => {
    const counter = new Counter(profile);
    const parts = [samples.slice(0, 11), samples.slice(11)].map((part) => {
      for (const {outputs, inputs, ms} of part) counter.count(tensors(outputs), tensors(inputs), ms ?? undefined);
      return counter.take();
    });
    expect(shown(add(parts[0]!, parts[1]!))).toEqual(counts);
  });

  it('counts what became of answers', () => {
    const counter = new Counter(cases[0]!.profile);
    counter.outcome('accepted', 3);
    counter.outcome('accepted', 3);
    counter.error('out_of_memory');
    counter.fallback();
    const {outcomes, errors, fallbacks} = counter.take();
    expect({outcomes, errors, fallbacks}).toEqual({outcomes: {accepted: {3: 2}}, errors: {out_of_memory: 1}, fallbacks: 1});
    for (let number = 0; number < 40; number++) counter.error(`code_${number}`);
    expect(Object.keys(counter.take().errors)).toHaveLength(16);
  });

  it('counts no word that a report cannot have', () => {
    const counter = new Counter(cases[0]!.profile);
    for (const word of ['', 'Accepted', 'user@example.org', '_x', '1st', '__proto__', 'a b', 'a'.repeat(33)]) {
      expect(() => counter.outcome(word)).toThrow('is no word');
      expect(() => counter.error(word)).toThrow('is no word');
    }
    for (const predicted of [-1, 0.5, 1000]) expect(() => counter.outcome('accepted', predicted)).toThrow('none of the model');
    expect(counter.counts).toMatchObject({outcomes: {}, errors: {}});
    for (const word of ['constructor', 'a'.repeat(32)]) {
      counter.outcome(word, 1);
      counter.error(word);
    }
    const {outcomes, errors} = add(counter.take(), counter.counts);
    expect(JSON.stringify({outcomes, errors})).toBe(JSON.stringify({
      outcomes: {constructor: {1: 1}, ['a'.repeat(32)]: {1: 1}},
      errors: {constructor: 1, ['a'.repeat(32)]: 1},
    }));
  });

  it('costs a fraction of a passage over the picture', () => {
    const {profile, samples} = cases[0]!;
    const counter = new Counter(profile);
    const [outputs, inputs] = [tensors(samples[0]!.outputs), tensors(samples[0]!.inputs)];
    const best = (what: () => void, times: number) => Math.min(...Array.from({length: 15}, () => {
      const begin = performance.now();
      for (let index = 0; index < times; index++) what();
      return (performance.now() - begin) / times;
    }));
    const picture = inputs.image!;
    let sum = 0;
    const passage = best(() => { for (let index = 0; index < picture.length; index++) sum += Math.sqrt(Math.abs(picture[index]! - sum)); }, 2000);
    const cost = best(() => counter.count(outputs, inputs, 3), 2000);
    expect(sum).not.toBeNaN();
    expect(cost).toBeLessThan(4 * passage);
  });
});

describe('weeks and pseudonyms', () => {
  it('are those of the calendar', () => {
    const names = ['2026-11-23', '2026-11-29T23:59:59.999Z', '2026-12-31', '2027-01-03', '2027-01-04', '1970-01-01'].map((day) => nameWeek(weekOf(Date.parse(day))));
    expect(names.map(({window}) => window)).toEqual(['2026-W48', '2026-W48', '2026-W53', '2026-W53', '2027-W01', '1970-W01']);
    expect(names[0]!.month).toBe('2026-11');
    expect(names[3]!.month).toBe('2026-12');
  });

  it('are those of the client in Python', async () => {
    expect(await pseudonym(new Uint8Array(32).fill(0xab), '2026-11')).toBe('5ef1631ecbde17270a4d846b59b16730');
  });
});

// What keeps and sends is needed only by those who allow it, and is loaded then.
it.each(['counter', 'outbox'])('weighs less than 2 kB: %s', async (name) => {
  const entry = path.resolve(import.meta.dirname, `../src/telemetry/${name}.ts`);
  const output = (await build({
    configFile: false,
    logLevel: 'silent',
    build: {write: false, minify: true, target: 'es2022', lib: {entry, formats: ['iife'], name: 'reports', fileName: 'reports'}},
  })) as Rollup.RollupOutput[];
  const code = output[0]!.output.map((chunk) => ('code' in chunk ? chunk.code : '')).join('');
  expect(gzipSync(code, {level: 9}).length).toBeLessThan(2048);
});
