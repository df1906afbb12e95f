/** What a page does with its channel: opens the last good version, looks for newer ones, and says what it finds. */
import type {Bundle} from '../bundle/bundle';
import {element} from '../ui/dom';
import {showUpdates} from '../ui/updates';
import {Client, type Outcome, type SelfTest} from './client';
import type {ChannelPlace} from './place';

const HOUR = 3_600_000;

/** What the page itself does. */
export interface Page {
  test: SelfTest;
  alarm: (message: string) => void;
  /** Run no model any more. */
  stop: () => void;
}

/** What a page gets of its channel. */
export interface Opened {
  bundle: Bundle;
  /** To be told whether the bundle passed its self-test here. */
  tested: (passed: boolean | undefined) => Promise<void>;
  /** By experiment the arm of this device, for its reports. */
  arms: () => Record<string, string>;
}

/** The last good version, without asking the network; the channel's where there is none yet. */
export async function openChannel(place: ChannelPlace, page: Page): Promise<Opened> {
  const client = await Client.open(place, page.test);
  const look = () => void client.update().then((outcome) => followUp(client, outcome, page), (error: unknown) => page.alarm(String(error)));
  element('look', HTMLButtonElement).addEventListener('click', look);
  repeat(look);
  const bundle = (await client.running()) ?? (await openFirst(client));
  // Its own self-test comes first: a version that fails it is not taken again.
  const tested = async (passed: boolean | undefined) => {
    if (passed === false && client.shown !== null) await client.reject(client.shown);
    look();
  };
  return {bundle, tested, arms: () => client.arms};
}

async function openFirst(client: Client): Promise<Bundle> {
  const outcome = await client.update();
  const found = await client.running();
  if (found) return found;
  showUpdates(client.place.name, null, outcome);
  throw new Error(outcome.error ?? `The channel ${client.place.name} has no version for this device.`);
}

/** Show what was found; what was withdrawn is left at once. */
function followUp(client: Client, outcome: Outcome, page: Page): void {
  const {leave, next} = outcome;
  showUpdates(client.place.name, client.shown, outcome);
  if (leave && next !== null) return location.reload();
  if (leave) {
    page.stop();
    page.alarm('This model was withdrawn or fails its self-test here, and there is no other one for this device now.');
  }
  if (client.shown === null || next === null) return;
  element('update-text', HTMLElement).textContent = `Version ${next} of the model is ready.`;
  element('update', HTMLElement).hidden = false;
}

/** Call once an hour, a little off so that devices spread, and when the network is back. */
function repeat(what: () => void): void {
  const again = () => setTimeout(() => (what(), again()), HOUR * (0.9 + 0.2 * Math.random()));
  again();
  addEventListener('online', what);
}
