/** One look at a channel: what this device should run, and its files, verified, beside what runs. */
import {check} from '../bundle/digest';
import type {ChannelPlace} from './place';
import {bucket, chooseVersion, type Device, findArms, parseChannel} from './rules';
import type {Store} from './store';
import type {Repository} from './trust';
import {parseVersion, type Version} from './version';

/**
 * `chosen` is whole on this device; null where there is nothing for it. `leave`: what runs was withdrawn, or failed its self-test,
 * and is left even where what to run instead could not be brought, which `error` tells.
 */
export interface Look {
  chosen: number | null;
  leave: boolean;
  error: string | null;
}

const AT_ONCE = 4;

/** Bring the version that is for this device. Throws, and leaves what runs as it is, where anything is refused. */
export async function look(place: ChannelPlace, store: Store, repository: Repository, device: Omit<Device, 'id'>): Promise<Look> {
  await repository.refresh((trust) => store.keepTrust(trust));
  const rules = await repository.target(`${place.name}/channel.json`);
  const channel = parseChannel(new TextDecoder().decode(rules), place.name);
  const before = await store.change(async (state) => {
    const {version, hundredths, paused} = channel;
    const arms = await findArms(channel, {...device, id: state.device});
    return {...state, seen: {at: new Date().toISOString(), version, hundredths, paused, bucket: await bucket(channel.salt, state.device), arms}};
  });
  const chosen = await chooseVersion(channel, {...device, id: before.device}, before.running, before.failed);
  const leave = before.running !== null && [...channel.withdrawn, ...before.failed].includes(before.running);
  try {
    if (chosen !== null && chosen !== before.running) await bring(channel.name, chosen, store, repository);
    await store.removeOld(chosen ?? 0);
  } catch (error) {
    if (!leave) throw error;
    return {chosen: null, leave, error: error instanceof Error ? error.message : String(error)};
  }
  return {chosen, leave, error: null};
}

/** A version with all its files. */
async function bring(name: string, number: number, store: Store, repository: Repository): Promise<void> {
  const content = await repository.target(`${name}/${number}/version.json`);
  const version = parseVersion(new TextDecoder().decode(content), name, number);
  await download(version, store, repository);
  await store.change((state) => ({...state, versions: {...state.versions, [number]: version}}));
}

/** Download what is not here yet: files are kept by content, so those that versions share come once. */
async function download(version: Version, store: Store, repository: Repository): Promise<void> {
  const left = [...new Map(version.files.map((file) => [file.sha256, file])).values()];
  const next = async (): Promise<void> => {
    for (let file = left.pop(); file; file = left.pop()) {
      const name = `${version.name}/files/${file.sha256}`;
      const signed = repository.describe(name);
      if (signed.sha256 !== file.sha256 || signed.length !== file.size) throw new Error(`${file.path}: its size or digest is not what is signed.`);
      if (await store.hasFile(file.sha256)) continue;
      const bytes = await repository.target(name);
      await check(file.path, bytes, file.sha256);
      await store.keepFile(file.sha256, bytes);
    }
  };
  await Promise.all(Array.from({length: AT_ONCE}, next));
}
