/** node build/nodeSelftest.js LIBRARY MODEL GOLDENS [DEVICE]: prints the result as JSON; exit code 0 where all passed. */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';

import type {Engine} from './core';
import {nodeEngine} from './engineNode';
import {selfTest} from './selftest';

const read = async (path: string): Promise<ArrayBuffer> => new Uint8Array(await readFile(path)).buffer;

/** The engine, or one that says with each golden why there is none. */
function openEngine(library: string, model: Uint8Array): Engine {
  try {
    return nodeEngine(library, model);
  } catch (error) {
    const run = () => Promise.reject(error);
    return {name: 'none', run, close: () => undefined};
  }
}

async function main(library: string, model: string, goldens: string, device = 'this device'): Promise<void> {
  const bytes = await read(model);
  const engine = openEngine(library, new Uint8Array(bytes));
  const result = await selfTest(engine, (name) => read(join(goldens, name)), device, bytes);
  console.log(JSON.stringify(result, null, 1));
  process.exitCode = result.passed ? 0 : 1;
}

const [library, model, goldens, device] = process.argv.slice(2);
if (library && model && goldens) {
  void main(library, model, goldens, device);
} else {
  console.error('usage: nodeSelftest.js LIBRARY MODEL GOLDENS [DEVICE]');
  process.exitCode = 2;
}
