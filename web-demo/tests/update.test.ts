import {afterEach, describe, expect, it, vi} from 'vitest';
import {boundedFetch} from '../src/update/bounded';
import {parseChannel} from '../src/update/rules';
import {Repository} from '../src/update/trust';
import {parseVersion} from '../src/update/version';

const channel = {
  schema: 1, name: 'pots', channel: 'stable', version: 2, previous: 1, percent: 5, salt: 's', paused: false, withdrawn: [], conditions: {}, experiment: null,
};
const file = (path: string) => ({path, sha256: 'a'.repeat(64), size: 3});
const version = {
  schema: 1, name: 'pots', version: 2, server_model: 'b'.repeat(64), created: '2026-11-29T10:00:00Z', labels: [], shared: [file('contract.json')],
  artifacts: {
    'tfjs/float32': {format: 'tfjs', entry: 'tfjs/float32/model.json', files: [file('tfjs/float32/model.json')]},
    'tfjs/weight_only_w8': {format: 'tfjs', entry: 'tfjs/weight_only_w8/model.json', files: [file('tfjs/weight_only_w8/model.json')]},
    'tflite/int8': {format: 'tflite', entry: 'tflite/int8.tflite', files: [file('tflite/int8.tflite')]},
  },
};
const readVersion = (changes: object) => parseVersion(JSON.stringify({...version, ...changes}), 'pots', 2);
const readChannel = (changes: object) => parseChannel(JSON.stringify({...channel, ...changes}), 'pots/stable');

describe('the rules of a channel', () => {
  it('are read with hundredths of a percent', () => {
    expect(readChannel({percent: 12.34})).toMatchObject({hundredths: 1234, previous: 1, experiment: null});
  });

  it.each([
    [{schema: 2}, 'schema 2'], [{name: 'jars'}, 'jars/stable'], [{version: 0}, 'version'], [{version: 1.5}, 'version'], [{percent: 101}, 'percent'],
    [{percent: 0.001}, 'percent'], [{percent: '5'}, 'percent'], [{salt: 5}, 'salt'], [{paused: 1}, 'paused'], [{withdrawn: 3}, 'withdrawn'],
    [{withdrawn: ['3']}, 'withdrawn[0]'], [{conditions: []}, 'conditions'], [{experiment: {name: 'e', salt: 's', percent: 5, arms: [{name: 'a', version: 1}]}}, 'share'],
  ])('are refused by name where they are others: %j', (changes, said) => {
    expect(() => readChannel(changes)).toThrow(said);
  });
});

describe('a version', () => {
  it('gives the smallest model for a browser with what all clients take', () => {
    const found = readVersion({});
    expect(found).toMatchObject({artifact: 'tfjs/weight_only_w8', entry: 'tfjs/weight_only_w8/model.json', labels: null});
    expect(found.files.map(({path}) => path)).toEqual(['contract.json', 'tfjs/weight_only_w8/model.json']);
  });

  it.each([
    [{version: 3}, 'pots 3'], [{artifacts: {}}, 'no TF.js model'], [{shared: [file('../contract.json')]}, 'no relative path'], [{shared: [file('/etc/passwd')]}, 'no relative path'],
    [{shared: [file('a//b')]}, 'no relative path'], [{shared: [file('a/..')]}, 'no relative path'], [{shared: [file('a\\b')]}, 'no relative path'],
    [{shared: [file('a'), file('a')]}, 'twice'], [{shared: [{...file('a'), sha256: 'A'.repeat(64)}]}, 'no SHA-256'], [{shared: [{...file('a'), size: -1}]}, 'size'],
  ])('is refused by name where it is another: %j', (changes, said) => {
    expect(() => readVersion(changes)).toThrow(said);
  });
});

describe('a repository', () => {
  const repository = new Repository('https://example.org/channel/', '{}', {targets: JSON.stringify({signed: {targets: {'pots/a': {length: 1, hashes: {}}}}})});

  it.each(['../a', 'pots/../a', 'pots//a', '/a', 'pots/%2e%2e/a', 'Pots/a', 'pots\\a', './a', 'pots/.'])('has no target of the name %s', (name) => {
    expect(() => repository.describe(name)).toThrow('no name of a target');
  });

  it('tells of targets that are signed with a SHA-256 only', () => {
    expect(() => repository.describe('pots/a')).toThrow('no pots/a');
    expect(() => repository.describe('constructor')).toThrow('no constructor');
  });

  it('is asked for its own addresses only', () => {
    expect(repository.limit('https://example.org/channel/metadata/timestamp.json')).toBe(16_384);
    expect(repository.limit('https://example.org/channel/metadata/7.root.json')).toBe(512_000);
    for (const other of ['metadata/other.json', 'targets/pots/a', '../metadata/timestamp.json']) {
      expect(() => repository.limit(`https://example.org/channel/${other}`)).toThrow('not a part');
    }
  });
});

describe('a download', () => {
  afterEach(() => vi.restoreAllMocks());
  const answer = (...parts: string[]) => new Response(new Blob(parts).stream());

  it('is whole, or longer than it may be', async () => {
    const bounded = boundedFetch(async () => answer('abc', 'def'), () => 6);
    expect(await (await bounded('https://example.org/a')).text()).toBe('abcdef');
    const short = boundedFetch(async () => answer('abc', 'def'), () => 5);
    await expect(short('https://example.org/a')).rejects.toThrow('longer than the 5 bytes');
  });

  it('that takes too long ends', async () => {
    const ended = new AbortController();
    vi.spyOn(AbortSignal, 'timeout').mockReturnValue(ended.signal);
    const plain = ((_: unknown, {signal}: RequestInit) => new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)))) as typeof fetch;
    const asked = boundedFetch(plain, () => 16_384)('https://example.org/timestamp.json');
    ended.abort();
    await expect(asked).rejects.toThrow('timestamp.json: the server is too slow');
    expect(AbortSignal.timeout).toHaveBeenCalledWith(21_000);
  });
});
