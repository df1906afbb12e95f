// A TF.js graph model addressed by the names of its signature; the same under Node and in pages.

/** What each dtype of a signature becomes in TF.js, which computes in float32, int32 and bool only. */
const DTYPES = {
  DT_FLOAT: 'float32', DT_HALF: 'float32', DT_DOUBLE: 'float32', DT_INT32: 'int32', DT_INT64: 'int32', DT_UINT8: 'int32',
  DT_INT8: 'int32', DT_INT16: 'int32', DT_BOOL: 'bool',
};
const NUMPY = {float32: '<f4', int32: '<i4', bool: '|b1'};

/** The signature of a parsed `model.json`; throws for anything but a graph model with one. */
export function signature(json, where) {
  if (json.format !== 'graph-model') throw new Error(`${where} is a ${json.format}, and only graph models are run`);
  if (!json.signature?.inputs) throw new Error(`${where} has no signature, so its inputs have no names`);
  return json.signature;
}

/** What TF.js calls model artifacts: a parsed `model.json` with the bytes of its shards, one after the other. */
export function artifacts(json, weightData) {
  return {
    modelTopology: json.modelTopology, format: json.format, signature: json.signature,
    modelInitializer: json.modelInitializer, initializerSignature: json.initializerSignature,
    userDefinedMetadata: json.userDefinedMetadata,
    weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
    weightData,
  };
}

export class Graph {
  #tf;
  #graph;
  #signature;
  #names;
  #controlFlow = false;

  constructor(tf, graph, signature) {
    this.#tf = tf;
    this.#graph = graph;
    this.#signature = signature;
    this.#names = Object.keys(signature.outputs);
    this.inputs = Object.entries(signature.inputs).map(spec);
    this.outputs = Object.entries(signature.outputs).map(spec);
  }

  /** One inference of exactly the batch given. */
  async infer(feeds) {
    const engine = this.#tf.engine();
    engine.startScope();
    try {
      const tensors = {};
      for (const {name, dtype} of this.inputs) {
        const {data, shape} = feeds[name];
        tensors[this.#signature.inputs[name].name] = this.#tf.tensor(data, shape, dtype);
      }
      const results = await this.#execute(tensors, this.#names.map((name) => this.#signature.outputs[name].name));
      const outputs = {};
      for (const [index, tensor] of [results].flat().entries()) {
        outputs[this.#names[index]] = {dtype: NUMPY[tensor.dtype], shape: tensor.shape, data: await tensor.data()};
      }
      return outputs;
    } finally {
      engine.endScope();
    }
  }

  /** TF.js runs loops and conditions only asynchronously, and says so when it meets one. */
  async #execute(tensors, outputs) {
    if (!this.#controlFlow) {
      try {
        return this.#graph.execute(tensors, outputs);
      } catch (error) {
        if (!/executeAsync/.test(error.message)) throw error;
        this.#controlFlow = true;
      }
    }
    return this.#graph.executeAsync(tensors, outputs);
  }
}

/** A TensorSpec of edgeship as JSON. */
function spec([name, {dtype, tensorShape}]) {
  if (!DTYPES[dtype]) throw new Error(`tensor ${name} is ${dtype}, which TF.js has no numbers for`);
  const shape = (tensorShape?.dim ?? []).map(({size}) => (Number(size) < 0 ? null : Number(size)));
  return {name, shape, dtype: DTYPES[dtype], quantization: null};
}
