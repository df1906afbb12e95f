/** One look at a channel: what this device should run, and its files, verified, beside what runs. */
import {check} from '../bundle/digest';
import type {ChannelPlace} from './place';
import {bucket, chooseVersion, type Device, parseChannel} from './rules';
import type {Store} from './store';
import type {Repository} from './trust';
import {parseVersion, type Version} from './version';

/** `chosen` is whole on this device; null where there is nothing for it. `leave`: what runs was withdrawn, or failed its self-test. */
export interface Look {
  chosen: number | null;
  leave: boolean;
}

const AT_ONCE = 4;

/** Bring the version that is for this device. Throws, and leaves what runs as it is, where anything is refused. */
export async function look(place: ChannelPlace, store: Store, repository: Repository, device: Omit<Device, 'id'>): Promise<Look> {
  await repository.refresh((trust) => store.keepTrust(trust));
  const text = new TextDecoder();
  const channel = parseChannel(text.decode(await repository.target(`${place.name}/channel.json`)), place.name);
  const before = await store.change(async (state) => {
    const {version, hundredths, paused} = channel;
    return {...state, seen: {at: new Date().toISOString(), version, hundredths, paused, bucket: await bucket(channel.salt, state.device)}};
  });
  const chosen = await chooseVersion(channel, {...device, id: before.device}, before.running, before.failed);
  const leave = before.running !== null && [...channel.withdrawn, ...before.failed].includes(before.running);
  if (chosen !== null && chosen !== before.running) {
    const address = `${channel.name}/${chosen}/version.json`;
    const version = parseVersion(text.decode(await repository.target(address)), channel.name, chosen);
    await bring(version, store, repository);
    await store.change((state) => ({...state, versions: {...state.versions, [chosen]: version}}));
  }
  await store.removeOld(chosen ?? 0);
  return {chosen, leave};
}

/** Download what is not here yet: files are kept by content, so those that versions share come once. */
async function bring(version: Version, store: Store, repository: Repository): Promise<void> {
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
