/** Downloads that end: no answer is longer than it may be, and none takes longer than it should. */

/** Milliseconds for any answer, and bytes a second that a longer one must bring besides. */
const PATIENCE = 20_000;
const LEAST_RATE = 16 << 10;

/** A `fetch` whose answers are whole and hold at most `limit(url)` bytes; Error otherwise. Old copies are passed by. */
export function boundedFetch(plain: typeof fetch, limit: (url: string) => number): typeof fetch {
  return async (input) => {
    const url = input instanceof Request ? input.url : String(input);
    const most = limit(url);
    const signal = AbortSignal.timeout(PATIENCE + Math.ceil(most / LEAST_RATE) * 1000);
    const name = url.split('/').at(-1) ?? url;
    try {
      const answer = await plain(url, {cache: 'no-store', credentials: 'omit', signal});
      if (!answer.ok) {
        await answer.body?.cancel();
        return answer;
      }
      return new Response(await readBody(answer, most, name), {status: answer.status});
    } catch (error) {
      if (signal.aborted) throw new Error(`${name}: the server is too slow`);
      throw error;
    }
  };
}

async function readBody(answer: Response, most: number, name: string): Promise<Blob> {
  const reader = answer.body!.getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let size = 0; ; ) {
    const {done, value} = await reader.read();
    if (done) return new Blob(parts);
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw new Error(`${name} is longer than the ${most} bytes that it may have`);
    }
    parts.push(value);
  }
}
