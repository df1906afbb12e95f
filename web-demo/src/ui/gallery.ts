/** The samples as buttons with a picture or plot each. */
import type {Manifest} from '../bundle/manifest';
import type {Group, Sample} from '../bundle/samples';
import {make} from './dom';
import {thumbnail} from './plot';

/** Show the groups, with the first sample marked as the chosen one. */
export function gallery(place: HTMLElement, manifest: Manifest, groups: Group[], chosen: (sample: Sample) => void): void {
  const pictures = Object.keys(manifest.pictures);
  const rows = groups.map(({title, samples}) => {
    const heading = make('h3', {text: title});
    const row = make('div', {className: pictures.length ? 'samples' : 'samples curves'}, samples.map((sample) => button(sample)));
    row.setAttribute('role', 'group');
    row.setAttribute('aria-label', title);
    return [heading, row];
  });
  function button(sample: Sample): HTMLButtonElement {
    const shown = pictures.find((name) => sample.inputs[name]) ?? Object.keys(sample.inputs)[0];
    const picture = shown === undefined ? null : thumbnail(sample.inputs[shown]!, manifest.pictures[shown]);
    const made = make('button', {}, [...(picture ? [picture] : []), make('span', {text: sample.name})]);
    made.type = 'button';
    made.setAttribute('aria-pressed', String(sample === groups[0]?.samples[0]));
    made.addEventListener('click', () => {
      unmark(place);
      made.setAttribute('aria-pressed', 'true');
      chosen(sample);
    });
    return made;
  }
  place.replaceChildren(...rows.flat());
}

/** Take the mark off whichever sample was chosen: the input comes from elsewhere now. */
export function unmark(place: HTMLElement): void {
  place.querySelectorAll('button').forEach((button) => button.setAttribute('aria-pressed', 'false'));
}
