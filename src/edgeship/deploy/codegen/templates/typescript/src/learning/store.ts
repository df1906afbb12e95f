/** Where a device keeps what it learned: two small files, by name. */

/**
 * A place of this app's own. `write` replaces a file whole or not at all; `read` gives undefined where there is none.
 * React Native has no such place of its own: an app gives these three functions with the package that it keeps files with.
 */
export interface Store {
  read(name: string): Promise<Uint8Array | undefined>;
  write(name: string, content: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
}

/** A place that is gone with the page or process. */
export function memoryStore(): Store & {files: Map<string, Uint8Array>} {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    read: async (name) => files.get(name)?.slice(),
    write: async (name, content) => void files.set(name, content.slice()),
    remove: async (name) => void files.delete(name),
  };
}
