/**
 * The rules of an update channel, `channel.json`: who gets which version of a model.
 * The same decisions as in src/edgeship/client/rules.py; a test compares the two.
 */
import {sha256} from '../bundle/digest';
import {Reader} from './reader';

/** What this client understands; channels name the least that a version needs. */
export const CLIENT = 1;
const SCHEMA = 1;
const HUNDREDTHS = 100;
const BUCKETS = 100 * HUNDREDTHS;

export interface Arm {
  name: string;
  version: number;
  share: number;
}

export interface Conditions {
  minimumClient: number;
  /** The least version of a runtime, by format. */
  minimumRuntime: Record<string, string>;
  platforms: string[] | null;
  minimumMemoryMb: number | null;
}

export interface Channel {
  name: string;
  channel: string;
  version: number;
  previous: number | null;
  /** Hundredths of a percent of the devices: whole numbers from 0 to 10000. */
  hundredths: number;
  salt: string;
  paused: boolean;
  withdrawn: number[];
  conditions: Conditions;
  experiment: {name: string; salt: string; hundredths: number; arms: Arm[]} | null;
}

/** What is known of this device; null where a browser does not tell, which counts as missing. */
export interface Device {
  id: string;
  /** The version of each runtime at hand, by format. */
  runtimes: Record<string, string>;
  platform: string;
  memoryMb: number | null;
}

/** The rules in the text of a `channel.json` for `name`, as `garments/stable`. Throws where it is none that this page reads. */
export function parseChannel(text: string, name: string): Channel {
  const top = Reader.parse(text, 'channel.json', SCHEMA);
  const conditions = top.at('conditions');
  const experiment = top.optional('experiment');
  const channel: Channel = {
    name: top.text('name'),
    channel: top.text('channel'),
    version: top.version('version'),
    previous: top.has('previous') ? top.version('previous') : null,
    hundredths: hundredths(top),
    salt: top.text('salt'),
    paused: top.flag('paused'),
    withdrawn: top.list('withdrawn').map((item) => item.asVersion()),
    conditions: {
      minimumClient: conditions.has('minimum_client') ? conditions.version('minimum_client') : 1,
      minimumRuntime: conditions.has('minimum_runtime') ? conditions.at('minimum_runtime').texts() : {},
      platforms: conditions.has('platforms') ? conditions.list('platforms').map((item) => item.asText()) : null,
      minimumMemoryMb: conditions.has('minimum_memory_mb') ? conditions.number('minimum_memory_mb') : null,
    },
    experiment: experiment && {
      name: experiment.text('name'),
      salt: experiment.text('salt'),
      hundredths: hundredths(experiment),
      arms: experiment.list('arms').map((arm) => ({name: arm.text('name'), version: arm.version('version'), share: arm.whole('share')})),
    },
  };
  if (`${channel.name}/${channel.channel}` !== name) throw new Error(`channel.json is that of ${channel.name}/${channel.channel}, not of ${name}.`);
  return channel;
}

function hundredths(reader: Reader): number {
  const percent = reader.number('percent');
  const value = Math.round(percent * HUNDREDTHS);
  if (percent < 0 || percent > 100 || Math.abs(value - percent * HUNDREDTHS) > 1e-6) reader.refuse('percent', 'is not 0 to 100 with two decimals');
  return value;
}

/** Where a device falls, 0 to 9999: the first 8 hexadecimal digits of the SHA-256 of `salt/device`, modulo 10000. */
export async function bucket(salt: string, device: string): Promise<number> {
  const digest = await sha256(new TextEncoder().encode(`${salt}/${device}`));
  return parseInt(digest.slice(0, 8), 16) % BUCKETS;
}

/** The version for a device that runs `running`; null where there is none for it. `failed`: versions whose self-test failed here. */
export async function chooseVersion(channel: Channel, device: Device, running: number | null, failed: readonly number[] = []): Promise<number | null> {
  const refused = new Set([...channel.withdrawn, ...failed]);
  const wanted = await wantedVersion(channel, device, running);
  return [wanted, channel.previous].find((version) => version !== null && !refused.has(version)) ?? null;
}

/** The arm of the channel's experiment that a device is in; null for one outside. */
async function chooseArm({conditions, experiment}: Channel, device: Device): Promise<Arm | null> {
  if (!experiment || !meets(conditions, device) || (await bucket(experiment.salt, device.id)) >= experiment.hundredths) return null;
  const place = (await bucket(`${experiment.salt}/arm`, device.id)) * experiment.arms.reduce((sum, {share}) => sum + share, 0);
  let end = 0;
  return experiment.arms.find(({share}) => place < (end += share) * BUCKETS) ?? null;
}

/** By experiment the arm that a device was assigned to, for its reports, whatever version runs. */
export async function findArms(channel: Channel, device: Device): Promise<Record<string, string>> {
  const arm = await chooseArm(channel, device);
  return arm ? {[channel.experiment!.name]: arm.name} : {};
}

async function wantedVersion(channel: Channel, device: Device, running: number | null): Promise<number | null> {
  const {version, previous} = channel;
  if (!meets(channel.conditions, device)) return previous;
  const arm = await chooseArm(channel, device);
  if (arm) return arm.version;
  if (channel.paused) return running === version ? running : previous;
  return (await bucket(channel.salt, device.id)) < channel.hundredths ? version : previous;
}

function meets({minimumClient, minimumRuntime, platforms, minimumMemoryMb}: Conditions, device: Device): boolean {
  const runtimes = Object.entries(device.runtimes).every(([name, used]) => isRelease(used, minimumRuntime[name]));
  const memory = minimumMemoryMb === null || (device.memoryMb ?? 0) >= minimumMemoryMb;
  return minimumClient <= CLIENT && runtimes && memory && (platforms === null || platforms.includes(device.platform));
}

const RELEASE = /^[0-9]{1,9}(\.[0-9]{1,9}){0,5}/;

/** Whether a release is at least that one, part by part as numbers; what has no number is none. */
function isRelease(used: string, oldest: string | undefined): boolean {
  if (oldest === undefined) return true;
  const match = RELEASE.exec(used);
  if (!match) return false;
  const [found, wanted] = [match[0], oldest].map((text) => text.split('.').map(Number)) as [number[], number[]];
  for (let index = 0; index < 6; index++) {
    const difference = (found[index] ?? 0) - (wanted[index] ?? 0);
    if (difference) return difference > 0;
  }
  return true;
}
