/** Small helpers for building the page. Text is always set as text: labels come from a bundle, not from us. */

/** The element with an id; its kind is checked, so that a typing error is found at once. */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`#${id} is missing`);
  return found;
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K, options: {text?: string; className?: string} = {}, children: Node[] = [],
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (options.text !== undefined) made.textContent = options.text;
  if (options.className) made.className = options.className;
  made.append(...children);
  return made;
}

/** Fill a definition list. */
export function define(list: HTMLElement, facts: [string, string | Node][]): void {
  list.replaceChildren(
    ...facts.flatMap(([term, value]) => [make('dt', {text: term}), typeof value === 'string' ? make('dd', {text: value}) : make('dd', {}, [value])]),
  );
}

export function svg(tag: string, attributes: Record<string, string | number>, children: Node[] = []): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}
