/** A report of what was counted, and the windows of reports, calendar weeks in UTC: docs/monitoring/report.md. */
import type {Counts} from './counter';

/** The fields of a report that are the same for all counts of an artifact on a device. */
export interface Identity {
  bundle: string | null;
  artifact: string;
  content: string;
  profile: string;
  arms: Record<string, string>;
  runtime: string;
  tier: string;
}

const DAY = 86_400_000;
const MONDAY = 4 * DAY;

/** Which week since 1970 a time is in; weeks begin on Mondays, UTC. */
export const weekOf = (time: number): number => Math.floor((time - MONDAY) / (7 * DAY));

/** A week's window, as 2026-W48, and the month of its Thursday, as 2026-11. */
export function nameWeek(week: number): {window: string; month: string} {
  const thursday = new Date(week * 7 * DAY + MONDAY + 3 * DAY);
  const year = thursday.getUTCFullYear();
  const number = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0)) / (7 * DAY));
  return {window: `${year}-W${String(number).padStart(2, '0')}`, month: thursday.toISOString().slice(0, 7)};
}

/** The pseudonym of a month: HMAC-SHA256 with the secret, 128 bits. Needs https, as all of `crypto.subtle`. */
export async function pseudonym(secret: Uint8Array<ArrayBuffer>, month: string): Promise<string> {
  const key = await crypto.subtle.importKey('raw', secret, {name: 'HMAC', hash: 'SHA-256'}, false, ['sign']);
  const bytes = new Uint8Array(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(month)));
  return Array.from(bytes.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Cells with their counts, each cell but the first as the difference to the one before. */
function pairs(cells: Record<string, number>): number[] {
  let before = 0;
  return Object.entries(cells).flatMap(([cell, count]) => {
    const difference = Number(cell) - before;
    before += difference;
    return [difference, count];
  });
}

/** The report of a week; `install`: the pseudonym of its month. As JSON it is what a server takes. */
export function report(identity: Identity, counts: Counts, week: number, sequence: number, install: string): object {
  const outputs = Object.entries(counts.outputs).map(([name, item]) => [
    name,
    item.kind === 'classes' ? {...item, joint: pairs(item.joint)} : item,
  ]);
  const outcomes = Object.entries(counts.outcomes).map(([event, cells]) => [event, pairs(cells)]);
  const numbers = {
    ...counts,
    outputs: Object.fromEntries(outputs),
    latency: pairs(counts.latency),
    outcomes: Object.fromEntries(outcomes),
  };
  return {schema: 2, window: nameWeek(week).window, sequence, install, ...identity, ...numbers};
}

/** The key of a report, which is sent as `Idempotency-Key`: a server counts it once however often it arrives. */
export const nameReport = ({content}: Identity, week: number, sequence: number, install: string): string =>
  `${install}.${nameWeek(week).window}.${content.slice(0, 16)}.${sequence}`;
