/** Steady latency in the page: a loop with both of LoadGen's stopping rules, and what the clock can tell. */

// A second rather than Python's half: V8 goes on optimizing for about that long.
const WARM_UP = {seconds: 1, queries: 5};

/** Milliseconds between the different values that `performance.now` gives: the shortest of many. */
export function resolution(): number {
  let shortest = Infinity;
  for (let found = 0, last = performance.now(); found < 50;) {
    const now = performance.now();
    if (now > last) {
      shortest = Math.min(shortest, now - last);
      last = now;
      found++;
    }
  }
  return shortest;
}

/** Milliseconds of each query; stops when both limits are met. With `together` above 1 a sample is the mean of as many. */
export async function loop(run: () => Promise<unknown>, seconds: number, samples: number, together = 1): Promise<number[]> {
  const taken: number[] = [];
  const end = performance.now() + seconds * 1000;
  for (let done = -Infinity; done < end || taken.length < samples;) {
    const begin = performance.now();
    for (let i = 0; i < together; i++) await run();
    done = performance.now();
    taken.push((done - begin) / together);
  }
  return taken;
}

/** Run for a while before a measurement of `seconds`. */
export async function warmUp(run: () => Promise<unknown>, seconds: number): Promise<void> {
  await loop(run, Math.min(WARM_UP.seconds, seconds / 5), WARM_UP.queries);
}

/** How many queries make up `ms` milliseconds, at the median pace of as long a run. */
export async function filling(run: () => Promise<unknown>, ms: number): Promise<number> {
  const taken = (await loop(run, ms / 1000, 3)).sort((a, b) => a - b);
  return Math.max(1, Math.ceil(ms / taken[taken.length >> 1]));
}

/** Milliseconds of a fixed piece of work on the main thread: what a slowed-down processor is recognized by. */
export function spin(): number {
  const begin = performance.now();
  let total = 0;
  for (let i = 0; i < 60_000_000; i++) total = (total + i * 7) | 0;
  return total === 1 ? NaN : performance.now() - begin;
}
