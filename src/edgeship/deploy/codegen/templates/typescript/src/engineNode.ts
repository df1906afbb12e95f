/** The engine of Node: TensorFlow Lite's C library through koffi. */
import koffi, {type LibraryHandle} from 'koffi';

import {CONTRACT, type ModelTensors} from './contract';
import type {Edge, Engine} from './core';

const TYPES = {float32: 1, int32: 2, uint8: 3, int16: 7, int8: 9};
const WIDTHS = {float32: 4, int32: 4, uint8: 1, int16: 2, int8: 1};

/**
 * `library`: the path of libtensorflowlite_c; `expected`: the tensors that the model must have. Throws an Error where it is not the
 * model of this client.
 */
export function nodeEngine(library: string, model: Uint8Array, expected: ModelTensors = CONTRACT): Engine {
  const tflite = declare(koffi.load(library));
  const bytes = Buffer.from(model); // the interpreter reads it as long as it lives
  const loaded = tflite.createModel(bytes, bytes.length);
  const interpreter = loaded && tflite.createInterpreter(loaded, tflite.createOptions());
  if (!interpreter || tflite.allocate(interpreter)) throw new Error('not a model that this TensorFlow Lite runs');
  const inputs = expected.inputs.map(({edge}) => requireFit(edge, tflite.input(interpreter, edge.index)));
  const outputs = expected.outputs.map(({edge}) => requireFit(edge, tflite.output(interpreter, edge.index)));
  return {
    name: `TFLite C ${tflite.version()} (Node)`,
    run(given) {
      const put = inputs.map((tensor, at) => tflite.put(tensor, Buffer.from(given[at]!), given[at]!.byteLength));
      if (put.some(Boolean) || tflite.invoke(interpreter)) throw new Error('the interpreter failed');
      return expected.outputs.map(({edge}, at) => {
        const taken = new Uint8Array(edge.size * WIDTHS[edge.dtype]);
        if (tflite.get(outputs[at], taken, taken.length)) throw new Error('the interpreter failed');
        return taken.buffer;
      });
    },
    close() {
      tflite.deleteInterpreter(interpreter);
      tflite.deleteModel(loaded);
      bytes.fill(0, 0, 0); // kept until here
    },
  };

  function requireFit(edge: Edge, tensor: unknown): unknown {
    const same = tensor && tflite.type(tensor) === TYPES[edge.dtype];
    if (!same || Number(tflite.size(tensor)) !== edge.size * WIDTHS[edge.dtype]) {
      throw new Error('not the model that this client was generated for: its tensors differ');
    }
    return tensor;
  }
}

function declare(library: LibraryHandle) {
  return {
    version: library.func('const char *TfLiteVersion()'),
    createModel: library.func('void *TfLiteModelCreate(const void *data, size_t size)'),
    createOptions: library.func('void *TfLiteInterpreterOptionsCreate()'),
    createInterpreter: library.func('void *TfLiteInterpreterCreate(void *model, void *options)'),
    allocate: library.func('int TfLiteInterpreterAllocateTensors(void *interpreter)'),
    invoke: library.func('int TfLiteInterpreterInvoke(void *interpreter)'),
    input: library.func('void *TfLiteInterpreterGetInputTensor(void *interpreter, int index)'),
    output: library.func('void *TfLiteInterpreterGetOutputTensor(void *interpreter, int index)'),
    type: library.func('int TfLiteTensorType(void *tensor)'),
    size: library.func('size_t TfLiteTensorByteSize(void *tensor)'),
    put: library.func('int TfLiteTensorCopyFromBuffer(void *tensor, const void *data, size_t size)'),
    get: library.func('int TfLiteTensorCopyToBuffer(void *tensor, _Out_ void *data, size_t size)'),
    deleteInterpreter: library.func('void TfLiteInterpreterDelete(void *interpreter)'),
    deleteModel: library.func('void TfLiteModelDelete(void *model)'),
  };
}
