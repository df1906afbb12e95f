// teach.mjs BUILD CLIENT LIBRARY WHAT FOLDER...: uses a compiled TypeScript client with each folder as its store; prints JSON.
// WHAT: `learn` the first lesson of the self-test, `open` what is there, or try what must be `refused`.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';

const [build, client, library, what, ...folders] = process.argv.slice(2);
const load = (name) => createRequire(import.meta.url)(join(build, name));
const {CONTRACT} = load('contract.js');
const {BASE, DESCRIPTION, FIRST_LESSON} = load('learning/description.js');
const {HeadLearner} = load('learning/learner.js');
const {folderStore} = load('learning/nodeStore.js');

const read = (...names) => new Uint8Array(readFileSync(join(client, ...names))).buffer;
const engine = load('engineNode.js').nodeEngine(library, readFileSync(join(client, 'head', 'base.tflite')), BASE);
const [input] = CONTRACT.inputs;
const raws = CONTRACT.cases.map(({name, raws: [form]}) => ({data: new Uint8Array(read('goldens', `${name}.${input.name}.raw`)), ...form}));
const sayWhy = (attempt) => attempt().then(String, ({message}) => message);

const told = [];
for (const folder of folders) {
  const learner = await HeadLearner.open(engine, async (name) => read('head', name), folderStore(folder));
  const {features, outputs} = DESCRIPTION;
  if (what === 'learn') {
    const {added: count} = FIRST_LESSON;
    const numbers = new Float32Array(read('goldens', 'learning.samples'));
    const samples = {count, features: numbers.slice(0, count * features), target: numbers.slice(count * features)};
    await learner.collectFeatures(samples);
    await learner.learn();
  }
  const refused = [];
  if (what === 'refused') {
    refused.push(await sayWhy(() => learner.learn()));
    for (const right of [outputs, 0.5, [1, 2, 3, 4]]) refused.push(await sayWhy(() => learner.collect(raws[0], right)));
    refused.push(await sayWhy(() => learner.collect([raws[0], raws[0]], 1)));
    await Promise.all(raws.slice(0, 3).map((raw) => learner.collect(raw, 1))); // at once, and none is lost
    refused.push(await sayWhy(() => learner.learn()));
  }
  const answers = [];
  for (const raw of raws) answers.push([...(await learner.predict(raw))[0]]);
  const [best] = await learner.classify(raws[0], 1);
  told.push({hasLearned: learner.hasLearned, samples: learner.samples, answers, best, refused});
}
console.log(JSON.stringify(told));
