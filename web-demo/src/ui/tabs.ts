/** Tabs as the ARIA practices describe them: arrow keys move, one of them takes part in the tab order. */
import {element, make} from './dom';

export interface Tab {
  id: string;
  title: string;
}

/** Build tabs for panels that are in the page already. `shown` is told which one is open now. */
export function tabs(list: HTMLElement, items: Tab[], shown: (id: string) => void): void {
  const buttons = items.map(({id, title}) => {
    const button = make('button', {text: title});
    button.type = 'button';
    button.id = `tab-${id}`;
    button.setAttribute('role', 'tab');
    button.setAttribute('aria-controls', `panel-${id}`);
    button.addEventListener('click', () => select(id));
    return button;
  });
  const select = (id: string) => {
    items.forEach((item, index) => {
      const chosen = item.id === id;
      buttons[index]!.setAttribute('aria-selected', String(chosen));
      buttons[index]!.tabIndex = chosen ? 0 : -1;
      element(`panel-${item.id}`, HTMLElement).hidden = !chosen;
    });
    shown(id);
  };
  list.addEventListener('keydown', (event) => {
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1}[event.key];
    const next = to === undefined || at < 0 ? undefined : buttons.at(to % buttons.length);
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.click();
  });
  list.replaceChildren(...buttons);
  list.hidden = items.length < 2;
  if (items[0]) select(items[0].id);
}
