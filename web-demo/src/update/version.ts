/** What a version of a model is, `version.json`: the files that a page takes of it. */
import {Reader} from './reader';

const SCHEMA = 1;
const DIGEST = /^[0-9a-f]{64}$/;
/** Relative, with neither empty nor dotted parts; files are kept by content, so that a path is a name and no place. */
const PATH = /^(?!.*(^|\/)\.{0,2}(\/|$))[^\\\p{Cc}]+$/u;
const FORMAT = 'tfjs';
const SMALLEST = ['weight_only_w8', 'float16', 'float32'];

export interface VersionFile {
  path: string;
  sha256: string;
  size: number;
}

/** A version with the one artifact that this page takes. */
export interface Version {
  name: string;
  version: number;
  created: string;
  serverModel: string;
  /** Null where it names none. */
  labels: string[] | null;
  artifact: string;
  /** The artifact's model.json. */
  entry: string;
  files: VersionFile[];
}

/** The version in the text of a `version.json`. Throws where it is another one, or none for a browser. */
export function parseVersion(text: string, name: string, version: number): Version {
  const top = Reader.parse(text, `version.json of ${name} ${version}`, SCHEMA);
  if (top.text('name') !== name || top.version('version') !== version) top.refuse('name', `and version are those of ${top.text('name')} ${top.version('version')}`);
  const ours = top.at('artifacts').entries().filter(([, item]) => item.text('format') === FORMAT);
  const rank = (id: string) => (SMALLEST.indexOf(id.split('/')[1] ?? '') + SMALLEST.length) % SMALLEST.length;
  const [found] = ours.sort(([a], [b]) => rank(a) - rank(b));
  if (!found) throw new Error(`Version ${version} of ${name} holds no TF.js model, which is what a page runs.`);
  const [artifact, item] = found;
  const files = [...top.list('shared'), ...item.list('files')].map(readFile);
  const paths = new Set(files.map(({path}) => path));
  if (paths.size !== files.length) top.refuse('files', 'has a path twice');
  const entry = item.text('entry');
  if (!paths.has(entry)) top.refuse('entry', `${entry} is none of its files`);
  const labels = top.list('labels').map((label) => label.asText());
  return {
    name, version, artifact, entry, files,
    created: top.text('created'),
    serverModel: top.text('server_model'),
    labels: labels.length ? labels : null,
  };
}

function readFile(item: Reader): VersionFile {
  const file = {path: item.text('path'), sha256: item.text('sha256'), size: item.whole('size')};
  if (!PATH.test(file.path)) item.refuse('path', 'is no relative path');
  if (!DIGEST.test(file.sha256)) item.refuse('sha256', 'is no SHA-256');
  return file;
}
