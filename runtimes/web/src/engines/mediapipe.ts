import {ImageClassifier} from '@mediapipe/tasks-vision';
import {Refusal, download, versions, type Engine, type Model, type Wanted} from '../engine';
import type {Spec, Tensor, Tensors} from '../wire';

interface Affine {
  step: 'affine';
  multiply: number[];
  add: number[];
}
/** What of the contract in the file is needed to hand the classifier a picture. */
interface Contract {
  inputs: {name: string; kind: string; steps: (Affine | {step: 'other'})[]; tensor: {shape: number[]}}[];
  outputs: {name: string; shape: number[]; labels: string[] | null}[];
}

const CONTRACT = 'contract.json';
/** No score is below it: those under the threshold of the metadata are wanted, too. */
const LOWEST = -3e38;
/** How far a byte that float32 brought back may be from a whole number. */
const EXACT = 1e-3;

/** Start MediaPipe Tasks; what it cannot do is known when a model is loaded. */
export async function start({backend}: Wanted): Promise<Engine> {
  const folder = new URL('./mediapipe/', location.href).href;
  const files = {wasmLoaderPath: `${folder}vision_wasm_internal.js`, wasmBinaryPath: `${folder}vision_wasm_internal.wasm`};
  const load = async (url: string): Promise<Model> => {
    const bytes = new Uint8Array(await download(url));
    const contract = read(bytes);
    const classifier = await ImageClassifier.createFromOptions(files, {baseOptions: {modelAssetBuffer: bytes, delegate: 'CPU'}, scoreThreshold: LOWEST});
    return new Classifier(classifier, contract);
  };
  return {version: versions['@mediapipe/tasks-vision'], active: () => ({backend}), load, bytes: () => null};
}

class Classifier implements Model {
  inputs: Spec[];
  outputs: Spec[];
  #classifier: ImageClassifier;
  #contract: Contract;

  constructor(classifier: ImageClassifier, contract: Contract) {
    this.#classifier = classifier;
    this.#contract = contract;
    this.inputs = contract.inputs.map(({name, tensor}) => spec(name, tensor.shape));
    this.outputs = contract.outputs.map(({name, shape}) => spec(name, shape));
  }

  async infer(feeds: Tensors): Promise<Tensors> {
    const [input] = this.#contract.inputs;
    const affine = input.steps.find((step): step is Affine => step.step === 'affine');
    if (!affine) throw new Refusal('MediaPipe must know how bytes are scaled, and the contract in the file does not tell');
    const {classifications} = this.#classifier.classify(picture(feeds[input.name], affine));
    return Object.fromEntries(this.#contract.outputs.map(({name, shape, labels}, place) => {
      const scores = new Float32Array(shape[1]).fill(NaN);
      const names = labels && labels.slice(-shape[1]); // one score with two labels is that of the second
      for (const {index, score, categoryName} of classifications[place].categories) {
        if (names && names[index] !== categoryName) throw new Error(`MediaPipe calls class ${index} ${categoryName}, not ${names[index]}`);
        scores[index] = score;
      }
      return [name, {dtype: '<f4', shape, data: scores}];
    }));
  }
}

/** The picture whose scaled bytes a tensor is. Throws where it is none. */
function picture({data, shape: [, height, width, channels]}: Tensor, {multiply: [factor], add: [shift]}: Affine): ImageData {
  const pixels = new Uint8ClampedArray(4 * height * width).fill(255);
  for (let place = 0; place < height * width; place++) {
    for (let channel = 0; channel < 3; channel++) {
      const level = (Number(data[place * channels + channel]) - shift) / factor;
      const byte = Math.round(level);
      if (!(Math.abs(level - byte) < EXACT && byte >= 0 && byte <= 255)) throw new Refusal('MediaPipe takes bytes, and these data are none with the scaling that the file tells');
      pixels[4 * place + channel] = byte;
    }
  }
  return new ImageData(pixels, width, height);
}

function spec(name: string, shape: number[]): Spec {
  return {name, dtype: 'float32', shape, quantization: null};
}

/** The contract in a `.tflite`: a file in the ZIP archive behind the model, stored as it is. */
function read(bytes: Uint8Array): Contract {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (start: number, size: number): string => new TextDecoder().decode(bytes.subarray(start, start + size));
  let end = bytes.length - 22;
  while (end > 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  let entry = end > 0 ? view.getUint32(end + 16, true) : 0;
  for (let left = end > 0 ? view.getUint16(end + 10, true) : 0; left > 0; left--) {
    const [name, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(entry + offset, true));
    if (text(entry + 46, name) === CONTRACT) {
      const local = view.getUint32(entry + 42, true);
      const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      return JSON.parse(text(start, view.getUint32(entry + 24, true))) as Contract;
    }
    entry += 46 + name + extra + comment;
  }
  throw new Refusal('this .tflite holds no contract of edgeship: make a variant with mobile = true for it');
}
