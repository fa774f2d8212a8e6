// Imports foreign images into real file systems, and examines them with debugfs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { realHost } from '../../../src/host/host.ts';
import { type ImportedFacts, importImage } from '../../../src/images/import/import-image.ts';
import { writeFiles } from './container-image.ts';

export type Imported = ImportedFacts & {
  /** The reply of debugfs about the root file system. */
  debugfs(command: string): string;
  seed(command: string): string;
};

/** @returns a directory that is removed after the test */
export function directoryFor(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-import-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** @param given an archive, or the files of a directory. @returns the imported image, after e2fsck has found its file systems clean */
export async function importOf(
  t: TestContext,
  given: Buffer | ReadonlyMap<string, Buffer>,
  { reference, host = realHost }: { reference?: string | undefined; host?: typeof realHost } = {},
): Promise<Imported> {
  const directory = directoryFor(t);
  const path = join(directory, 'given');
  if (Buffer.isBuffer(given)) writeFileSync(path, given);
  else writeFiles(path, given);
  const [rootfs, workSeed] = [join(directory, 'rootfs'), join(directory, 'seed')];
  const scratch = join(directory, 'scratch');
  const facts = await importImage({
    ...{ path, reference, modulesPath: null, scratch, rootfs, workSeed, host },
    ...{ signal: new AbortController().signal, onProgress: () => undefined, onLog: () => undefined },
  }).catch((error: unknown) => {
    for (const file of [rootfs, workSeed]) assert.equal(existsSync(file), false, `${file} is left of what failed`);
    throw error;
  });
  // As bytes, because names consist of bytes.
  const ask = (file: string) => (command: string) =>
    execFileSync('debugfs', ['-f', '-', file], { input: Buffer.from(command, 'latin1'), stdio: 'pipe', maxBuffer: 64 * 1024 ** 2 })
      .toString('latin1')
      .replace(/^debugfs: .*\n/, '');
  for (const file of [rootfs, workSeed]) execFileSync('e2fsck', ['-fn', file], { stdio: 'pipe' });
  assert.deepEqual(
    readdirSync(scratch).filter((name) => !['archive.tar', 'unpacked.tar'].includes(name)),
    [],
  );
  return { ...facts, debugfs: ask(rootfs), seed: ask(workSeed) };
}
