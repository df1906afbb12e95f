import {afterEach, describe, expect, it, vi} from 'vitest';
import {check, IntegrityError, sha256} from '../src/bundle/digest';

const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'; // FIPS 180-2, appendix B.1
const abc = new TextEncoder().encode('abc');

describe('digests', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is SHA-256', async () => {
    expect(await sha256(abc)).toBe(ABC);
  });

  it('is the same on a page without crypto.subtle', async () => {
    vi.stubGlobal('crypto', {});
    expect(await sha256(abc)).toBe(ABC);
  });

  it('lets through what matches, and nothing else', async () => {
    await expect(check('a.bin', abc, ABC)).resolves.toBeUndefined();
    await expect(check('a.bin', new TextEncoder().encode('abd'), ABC)).rejects.toThrow(/a\.bin does not match/);
    await expect(check('a.bin', abc.slice(0, 2), ABC)).rejects.toBeInstanceOf(IntegrityError);
    await expect(check('a.bin', abc, undefined)).rejects.toThrow(/not listed/);
  });
});
