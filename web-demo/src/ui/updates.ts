/** What the page says of its update channel. */
import type {Outcome} from '../update/client';
import {define, element} from './dom';

/** `name` of the channel; `shown`: the version that this page runs. */
export function showUpdates(name: string, shown: number | null, {state, next, error}: Outcome): void {
  const {seen, failed} = state;
  const facts: [string, string][] = [['Version', shown === null ? 'none' : String(shown)], ['Channel', name]];
  if (next !== null) facts.push(['At the next load', `version ${next}`]);
  if (seen) {
    const share = `version ${seen.version} for ${seen.hundredths / 100} % of devices${seen.paused ? ', paused' : ''}`;
    facts.push(['Offers', share], ['Bucket of this device', `${seen.bucket} of 10000`]);
    facts.push(['Last answer', new Date(seen.at).toLocaleString('en')]);
  }
  if (failed.length) facts.push(['Failed their self-test here', failed.join(', ')]);
  define(element('channel-facts', HTMLElement), facts);
  const stays = shown === null || state.running === null ? '' : ` Version ${state.running} stays in use.`;
  element('channel-note', HTMLElement).textContent = error === null ? '' : `${error}${stays}`;
  element('updates', HTMLElement).hidden = false;
}
