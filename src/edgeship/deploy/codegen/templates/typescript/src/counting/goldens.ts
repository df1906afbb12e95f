/** What the self-test counts of the goldens: the report must be goldens/report.json. */
import {CONTRACT} from '../contract';
import {Counter, type Tensors} from './counter';
import {BINS, COUNTED} from './profile';
import {report} from './report';

const WEEK = 2968; // 2026-W48
const FIELDS = {arms: {'exp-7': 'b'}, runtime: 'a "runtime" \\ 1', tier: 'mid'};

/**
 * The report, as JSON, of all goldens with 0.75, 1.5, ... milliseconds but each third, an outcome of each; then of the first with
 * NaN in each output, and in each input; an error and a fallback. `read` gives the content of a file of the folder `goldens`.
 */
export async function countGoldens(read: (name: string) => Promise<ArrayBuffer>): Promise<string> {
  const counter = new Counter(BINS);
  const {artifact, cases, inputs, outputs} = CONTRACT;
  const suffix = artifact.replaceAll('/', '-');
  const readAll = async (names: {name: string}[], golden: string, end: (name: string) => string): Promise<Tensors> => {
    const files = names.map(async ({name}) => [name, new Float32Array(await read(`${golden}.${end(name)}`))] as const);
    return Object.fromEntries(await Promise.all(files));
  };
  const spoil = (tensors: Tensors): Tensors =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, values]) => [name, Float32Array.from(values, (value, at) => (at ? value : NaN))]),
    );
  const samples: [Tensors, Tensors][] = [];
  for (const [number, {name}] of cases.entries()) {
    const answers = await readAll(outputs, name, (output) => `${output}.${suffix}`);
    const tensors = await readAll(inputs, name, (input) => `${input}.tensor`);
    samples.push([answers, tensors]);
    const predicted = counter.count(answers, tensors, number % 3 === 2 ? undefined : 0.75 * (number + 1));
    counter.outcome(number % 2 ? 'corrected' : 'accepted', predicted);
  }
  const [answers, tensors] = samples[0]!;
  counter.count(spoil(answers), tensors);
  counter.count(answers, spoil(tensors));
  counter.error('out_of_memory');
  counter.fallback();
  return JSON.stringify(report({...COUNTED, ...FIELDS}, counter.take(), WEEK, 3, '5d0c'.repeat(8)));
}
