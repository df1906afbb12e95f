/** What a page is told of its channel: where it lies, what it is called, the text of its first root metadata, and the page's own folder. */
export interface ChannelPlace {
  page: string;
  url: string;
  name: string;
  root: string;
}

/** The channel that `edgeship demo --channel` wrote into this page; null where the page has a bundle of its own. */
export function embeddedChannel(): ChannelPlace | null {
  const found = JSON.parse(document.getElementById('channel')?.textContent ?? 'null') as Omit<ChannelPlace, 'page'> | null;
  return found && {...found, url: new URL(found.url, document.baseURI).href, page: new URL('.', document.baseURI).href};
}
