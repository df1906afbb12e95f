/** Digests: nothing that was downloaded is used before it matches the one in the manifest. */

/** The SHA-256 of some bytes as 64 hexadecimal digits. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  // Browsers offer crypto.subtle on https and localhost only; a phone that opens a plain http address gets our own.
  if (globalThis.crypto?.subtle) return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
  const library = await import('@noble/hashes/sha2.js');
  return hex(library.sha256(bytes));
}

/** Says which file is not what the manifest promises. */
export class IntegrityError extends Error {
  constructor(file: string, wanted: string | undefined, found: string) {
    super(
      wanted === undefined
        ? `${file} is not listed in the bundle's manifest, so it is not used.`
        : `${file} does not match the bundle's manifest (sha256 ${found.slice(0, 12)}…, expected ${wanted.slice(0, 12)}…): ` +
            'it was damaged or changed, and is not used.',
    );
    this.name = 'IntegrityError';
  }
}

/** Throws an IntegrityError unless the bytes are those that the manifest names. */
export async function check(file: string, bytes: Uint8Array<ArrayBuffer>, wanted: string | undefined): Promise<void> {
  const found = await sha256(bytes);
  if (found !== wanted) throw new IntegrityError(file, wanted, found);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
