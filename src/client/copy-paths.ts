// Copies for programs: a path or content on this host, and a path in a guest.
import { BangerError } from '../model/errors.ts';
import type { Api } from './api.ts';
import type { Caller } from './caller.ts';
import { copy, type CopyListener } from './copy.ts';
import { type CopySide, refuseUnusable } from './copy-sides.ts';
import { type Content, streamOf } from './exec.ts';

export type CopyPathOptions = {
  /** Keeps owners by their numbers, setuid bits, access lists and file capabilities. Default: no. */
  archive?: boolean;
  /** Gets a note about everything that the copy left out, or that changed during the copy. */
  onNote?: (text: string) => void;
  /** Gets the number of bytes so far, and the estimated total. */
  onProgress?: (movedBytes: number, totalBytes: number | undefined) => void;
  /** Gets the number of the VM's sessions if the copy has to wait for one of them to end. */
  onWait?: (sessions: number) => void;
  signal?: AbortSignal;
};

export type CopyPaths = {
  /**
   * Copies a file or directory into a guest, as `vm cp` does.
   * @param source path on this host, or the content of a file
   * @param target absolute path in the guest
   */
  copyTo(name: string, source: string | { content: Content }, target: string, options?: CopyPathOptions): Promise<void>;
  /**
   * Copies a file or directory out of a guest, as `vm cp` does. The guest is not trusted: nothing is written outside the target.
   * @param source absolute path in the guest
   * @param target path on this host, or a stream; for a directory the stream gets a tar archive
   */
  copyFrom(name: string, source: string, target: string | NodeJS.WritableStream, options?: CopyPathOptions): Promise<void>;
};

export function createCopyPaths(api: Api, caller: Caller): CopyPaths {
  return {
    async copyTo(name, source, target, options) {
      const from: CopySide = typeof source === 'string' ? hostSide(source) : { kind: 'stream' };
      const input = typeof source === 'string' ? {} : { input: streamOf(source.content) };
      await copy({ api, caller }, { from, to: guestSide(name, target) }, { ...copyOptions(options), ...input });
    },
    async copyFrom(name, source, target, options) {
      const to: CopySide = typeof target === 'string' ? hostSide(target) : { kind: 'stream' };
      const output = typeof target === 'string' ? {} : { output: target };
      await copy({ api, caller }, { from: guestSide(name, source), to }, { ...copyOptions(options), ...output });
    },
  };
}

function hostSide(path: string): CopySide {
  const side = { kind: 'host', path, bytes: Buffer.from(path) } as const;
  refuseUnusable(side);
  return side;
}

function guestSide(vm: string, path: string): Extract<CopySide, { kind: 'guest' }> {
  const side = { kind: 'guest', vm, path, bytes: Buffer.from(path) } as const;
  refuseUnusable(side);
  if (path.startsWith('/')) return side;
  throw new BangerError('INVALID_INPUT', `${JSON.stringify(path)} is not an absolute path in the guest`, { remedy: 'begin it with /' });
}

function copyOptions({ archive = false, onNote, onProgress, onWait, signal }: CopyPathOptions = {}) {
  return { archive, listener: listenerOf(onNote, onProgress), ...(onWait && { onWait }), ...(signal && { signal }) };
}

function listenerOf(onNote: CopyPathOptions['onNote'], onProgress: CopyPathOptions['onProgress']): CopyListener {
  let movedBytes = 0;
  let totalBytes: number | undefined;
  return {
    note: (text) => onNote?.(text),
    total: (bytes) => void (totalBytes = bytes),
    moved: (bytes) => onProgress?.((movedBytes += bytes), totalBytes),
  };
}
