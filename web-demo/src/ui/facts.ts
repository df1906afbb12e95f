/** The model card, the device's figures and the self-test's numbers as lists of facts. */
import type {PictureInput} from '../preprocess';
import {type Artifact, figure, type Manifest} from '../bundle/manifest';
import type {SelfTest} from '../selftest';
import {bytes, milliseconds} from '../stats';

type Facts = [string, string][];

export function modelCard(manifest: Manifest, artifact: Artifact): Facts {
  const server = manifest.server_model;
  const measured = manifest.server_measurement;
  const facts: Facts = [
    ['Server model', `${server.path.split('/').at(-1)}${server.parameters ? `, ${server.parameters.toLocaleString('en')} parameters` : ''}`],
    ['Takes', server.inputs.map(tensor).join('; ')],
    ['Gives', server.outputs.map(tensor).join('; ')],
  ];
  if (manifest.labels) facts.push(['Classes', manifest.labels.join(', ')]);
  facts.push(['Accuracy', accuracy(manifest, artifact)]);
  if (measured && measured.server !== null) {
    facts.push(['Server model’s accuracy', `${share(measured.server, measured.share)} (${measured.metric}, ${measured.n.toLocaleString('en')} samples)`]);
  }
  const agreement = figure(manifest, artifact.id, 'agreement');
  if (agreement !== null) facts.push(['Same answer as the server model', share(agreement, true)]);
  for (const [name, how] of Object.entries(manifest.pictures)) facts.push([`Pictures for ${name}`, picture(how)]);
  if (manifest.gate) facts.push(['Verdict of the gate', manifest.gate.verdict]);
  facts.push(['Made', `${manifest.created.slice(0, 10)}${manifest.edgeship ? ` with edgeship ${manifest.edgeship}` : ''}`]);
  facts.push(['Bundle', (manifest.source ?? manifest.digest).slice(0, 16)], ['Artifact', `${artifact.id}, ${artifact.digest.slice(0, 16)}`]);
  return facts;
}

/** A picture's way to the model in words; of numbers that differ by channel, the first. */
function picture({width, height, channels, steps}: PictureInput): string {
  const parts = [`${width} × ${height}`, channels === 1 ? 'grey' : 'colour'];
  for (const step of steps) {
    if (step.step === 'invert') parts.push(`${step.ground} background`);
    if (step.step === 'resize') parts.push(step.fit, `resampled by ${step.resampler}`);
    if (step.step === 'swap_red_blue') parts.push('blue first');
    if (step.step === 'affine') {
      const [factor, term] = [step.multiply[0]!, step.add[0]!];
      parts.push(`values ${[0, 255].map((value) => Number((value * factor + term).toPrecision(3))).join(' to ')}`);
    }
  }
  return parts.join(', ');
}

function accuracy(manifest: Manifest, artifact: Artifact): string {
  const value = figure(manifest, artifact.id, 'accuracy');
  if (!manifest.measurements.length) return 'not told here';
  if (value === null) return 'not measured: `edgeship benchmark` has not seen this artifact';
  return `${share(value, manifest.server_measurement?.share ?? true)} (this variant)`;
}

export function testFacts(test: SelfTest): Facts {
  const outputs = Object.entries(test.outputs).flatMap(([name, output]): Facts => {
    const facts: Facts = [
      [`${name}: largest error`, `${difference(output.maxAbsError)}, allowed ${difference(output.tolerance)}`],
      ['Off the server model by', difference(output.maxAbsErrorServer)],
    ];
    if (output.agreement !== null) facts.push(['Same answers as the server', share(output.agreement, true)]);
    return facts;
  });
  const pictures: Facts = test.preprocessing === null ? [] : [['Preprocessing', test.preprocessing ? 'goldens come back unchanged' : 'changes the goldens']];
  const [first] = test.failures;
  const raw = first ? `${test.failures.length} of ${test.rawSamples} fail: ${first.case}, ${first.detail}` : `${test.rawSamples} become their tensors to the byte`;
  if (test.rawSamples) pictures.push(['Raw goldens', raw]);
  return [['Goldens replayed', String(test.samples)], ...outputs, ...pictures];
}

function difference(value: number): string {
  return value === 0 ? 'none' : Number.isFinite(value) ? String(Number(value.toPrecision(2))) : 'not comparable';
}

export function deviceFacts(test: SelfTest, size: number): Facts {
  const {latency} = test;
  return [
    ['Latency p50', latency ? milliseconds(latency.p50Ms) : 'measuring …'],
    ['Latency p90', latency ? milliseconds(latency.p90Ms) : 'measuring …'],
    ['Taken from', latency ? `${latency.runs} single inferences, with copying in and out` : ''],
    ['Backend', `${test.backend} (${test.engine})`],
    ['Model', `${bytes(size)}, ready after ${milliseconds(test.loadMs)}, first inference ${milliseconds(test.firstMs)}`],
  ];
}

function tensor(spec: {name: string; shape: (number | null)[]; dtype: string}): string {
  return `${spec.name}: ${spec.dtype} ${spec.shape.map((size) => size ?? '?').join(' × ')}`;
}

function share(value: number, isShare: boolean): string {
  return isShare ? `${(value * 100).toFixed(2)} %` : value.toPrecision(4);
}
