/** What an app has in hand as texts: the row of a table, or one text. */
import {ensure, type Input} from './core';

/** The numbers of a row of texts, before the affine step. */
export function readTable(input: Input, row: readonly string[]): Float32Array {
  return Float32Array.from(input.columns!, ({values, unknown, missing}, at) => {
    if (missing !== undefined && row[at] === '') return missing;
    const place = values.length ? values.indexOf(row[at]!) : Number(row[at]);
    const value = values.length && place < 0 ? unknown : place;
    ensure(Number.isFinite(value) && !(values.length && value < 0), `'${row[at]}' is no value of column ${at}`);
    return value;
  });
}

/** The ids of a text's first words: 1 + FNV-1a % buckets of runs of ASCII letters, digits and bytes beyond ASCII; then zeros. */
export function readText(input: Input, text: string): Float32Array {
  const ids = new Float32Array(input.edge.size);
  let [words, hash, inside] = [0, 0, false];
  for (const sign of encodeUtf8(text)) {
    const byte = sign >= 65 && sign <= 90 ? sign + 32 : sign;
    const part = byte >= 128 || (byte >= 97 && byte <= 122) || (byte >= 48 && byte <= 57);
    if (part && !inside && ++words > ids.length) break;
    if (part) {
      hash = Math.imul((inside ? hash : 2166136261) ^ byte, 16777619) >>> 0;
      ids[words - 1] = 1 + (hash % input.buckets!);
    }
    inside = part;
  }
  return ids;
}

/** Without TextEncoder, which not every engine of React Native has. Throws a URIError for half of a surrogate pair. */
function* encodeUtf8(text: string): Generator<number> {
  const escaped = encodeURIComponent(text);
  for (let at = 0; at < escaped.length; at++) {
    const isPlain = escaped[at] !== '%';
    yield isPlain ? escaped.charCodeAt(at) : parseInt(escaped.slice(at + 1, at + 3), 16);
    if (!isPlain) at += 2;
  }
}
