/** What a page is told of its channel: where it lies, what it is called, and the text of its first root metadata. */
export interface ChannelPlace {
  url: string;
  name: string;
  root: string;
}

/** The channel that `edgeship demo --channel` wrote into this page; null where the page has a bundle of its own. */
export function embeddedChannel(): ChannelPlace | null {
  const found = JSON.parse(document.getElementById('channel')?.textContent ?? 'null') as ChannelPlace | null;
  return found && {...found, url: new URL(found.url, document.baseURI).href};
}
