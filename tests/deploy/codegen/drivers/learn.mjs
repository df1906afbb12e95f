// learn.mjs BUILD < CASES: what a compiled TypeScript client learns in each case (test_learning_typescript.py), as JSON.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';

const require = createRequire(import.meta.url);
const load = (name) => require(join(process.argv[2], 'learning', name));
const {DESCRIPTION} = load('description.js'); // one object, which all modules of the client read
const {HeadLearner} = load('learner.js');
const {memoryStore} = load('store.js');

const bytes = (text) => Uint8Array.from(Buffer.from(text, 'base64'));
const floats = (text) => new Float32Array(bytes(text).buffer);
const found = [];
for (const {description, files, samples, asked, settings} of JSON.parse(readFileSync(0, 'utf8'))) {
  Object.assign(DESCRIPTION, description);
  const store = memoryStore();
  const learner = await HeadLearner.open({name: 'none'}, async (name) => bytes(files[name]).buffer, store);
  const results = [];
  for (const {count, features, target} of samples) {
    await learner.collectFeatures({count, features: floats(features), target: floats(target)});
    results.push(await learner.learn(settings));
  }
  const {head: {weights, bias}, hasLearned, samples: count} = learner;
  const [answer] = learner.answerFeatures(floats(asked));
  found.push({results, weights: [...weights], bias: [...bias], hasLearned, count, answer: [...answer]});
}
console.log(JSON.stringify(found));
