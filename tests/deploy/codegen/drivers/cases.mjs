// cases.mjs CORE FILE: the tensors of the pictures in FILE (pictures.py) one after the other on standard output.
import {readFileSync, writeFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';

const {preprocess} = await import(pathToFileURL(process.argv[2]).href);
const content = readFileSync(process.argv[3]);
const tensors = [];
for (let at = 0; at < content.length; ) {
  const n = Array.from({length: 18}, (_, i) => content.readInt32LE(at + 4 * i));
  const factors = Array.from({length: 2 * n[13]}, (_, i) => content.readFloatLE(at + 72 + 4 * i));
  at += 72 + 8 * n[13];
  const [height, width, channels, orientation] = n.slice(14);
  const data = new Uint8Array(content.subarray(at, at + height * width * channels));
  at += data.length;
  const input = {
    name: 'image', kind: 'image', channels: n[2], edge: {index: 0, dtype: 'float32', size: n[0] * n[1] * n[2], scale: 0, zeroPoint: 0},
    picture: {
      height: n[0], width: n[1], orient: Boolean(n[3]), flatten: n[4], grey: n.slice(5, 8), invert: ['', 'dark', 'light'][n[8]],
      resampler: ['area', 'pil-bilinear', 'tf-bilinear'][n[9]], fit: ['stretch', 'contain', 'cover'][n[10]], border: n[11], swap: Boolean(n[12]),
    },
    multiply: factors.slice(0, n[13]), add: factors.slice(n[13]),
  };
  tensors.push(Buffer.from(preprocess(input, {data, height, width, channels, orientation}).buffer));
}
writeFileSync(1, Buffer.concat(tensors));
