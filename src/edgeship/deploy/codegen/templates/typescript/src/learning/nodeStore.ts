/** A folder of files under Node. */
import {randomBytes} from 'node:crypto';
import {mkdir, open, readdir, readFile, rename, rm} from 'node:fs/promises';
import {join} from 'node:path';

import type {Store} from './store';

/** `folder` is made where it is not there. Each file is written beside its place and moved into it. */
export function folderStore(folder: string): Store {
  return {
    async read(name) {
      try {
        return new Uint8Array(await readFile(join(folder, name)));
      } catch (error) {
        if ((error as {code?: string}).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async write(name, content) {
      await mkdir(folder, {recursive: true});
      const drafts = (await readdir(folder)).filter((file) => file.startsWith(`.${name}.`));
      await Promise.all(drafts.map((file) => rm(join(folder, file), {force: true}))); // of a process that was killed
      const draft = join(folder, `.${name}.${randomBytes(4).toString('hex')}`);
      try {
        const file = await open(draft, 'wx');
        try {
          await file.writeFile(content);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(draft, join(folder, name));
      } catch (error) {
        await rm(draft, {force: true});
        throw error;
      }
    },
    async remove(name) {
      await rm(join(folder, name), {force: true});
    },
  };
}
