// The counterpart of edgeship/processes/wire.py: one line of JSON, then the raw bytes of the arrays that it announces.
import fs from 'node:fs';

/** Numpy's little-endian dtype strings and the typed arrays of the same layout. */
const TYPES = {
  '<f4': Float32Array, '<f8': Float64Array, '<i4': Int32Array, '<u4': Uint32Array, '<i2': Int16Array, '<u2': Uint16Array,
  '|i1': Int8Array, '|u1': Uint8Array, '|b1': Uint8Array,
};
const CHUNK = 1 << 16;

/** Reads messages from a file descriptor, blocking. */
export class Reader {
  #fd;
  #rest = Buffer.alloc(0);

  constructor(fd) {
    this.#fd = fd;
  }

  /** The next message as {header, arrays}, or null where the other side has gone. */
  next() {
    const line = this.#line();
    if (line === null) return null;
    const {arrays: described, ...header} = JSON.parse(line);
    const arrays = {};
    for (const {name, dtype, shape} of described) {
      const type = TYPES[dtype];
      if (!type) throw new Error(`array ${name} has dtype ${dtype}, which JavaScript has no typed array for`);
      const count = shape.reduce((a, b) => a * b, 1);
      arrays[name] = {dtype, shape, data: new type(this.#bytes(count * type.BYTES_PER_ELEMENT))};
    }
    return {header, arrays};
  }

  #line() {
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end >= 0) {
        const line = this.#rest.subarray(0, end).toString();
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      const chunk = Buffer.alloc(CHUNK);
      const count = fs.readSync(this.#fd, chunk);
      if (count === 0) return null;
      this.#rest = Buffer.concat([this.#rest, chunk.subarray(0, count)]);
    }
  }

  /** Exactly `size` bytes in a buffer of their own, so that any typed array is aligned in it. */
  #bytes(size) {
    const bytes = new Uint8Array(size);
    const known = Math.min(size, this.#rest.length);
    bytes.set(this.#rest.subarray(0, known));
    this.#rest = this.#rest.subarray(known);
    for (let filled = known; filled < size;) {
      const count = fs.readSync(this.#fd, bytes, filled, size - filled);
      if (count === 0) throw new Error('the other side closed the stream in the middle of an array');
      filled += count;
    }
    return bytes.buffer;
  }
}

/** Write one message; `arrays` is {name: {dtype, shape, data}}. */
export function send(fd, header, arrays = {}) {
  const described = Object.entries(arrays).map(([name, {dtype, shape}]) => ({name, dtype, shape}));
  write(fd, Buffer.from(`${JSON.stringify({...header, arrays: described})}\n`));
  for (const {data} of Object.values(arrays)) write(fd, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function write(fd, bytes) {
  for (let done = 0; done < bytes.length;) done += fs.writeSync(fd, bytes, done);
}
