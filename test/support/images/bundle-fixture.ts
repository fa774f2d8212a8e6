// A small bundle with real checksums, and the archive of it.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { realHost } from '../../../src/host/host.ts';
import { packageBundle } from '../../../src/images/bundle/package-bundle.ts';
import { ADDED_PROGRAMS, BUNDLE_PARTS, type Bundle, type BundleManifest } from '../../../src/model/image.ts';

/** @returns a directory that exists until the end of the test */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-bundle-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/**
 * @param mark varies the content of each part
 * @returns a complete bundle; its root file system has data at both ends and a hole between them
 */
export function makeBundle(directory: string, mark: string): Bundle {
  mkdirSync(directory, { recursive: true });
  const write = (part: string): { path: string; sizeBytes: number; sha256: string } => {
    const ends = Buffer.from(`${part} of ${mark}`);
    const content = part === 'rootfs' ? Buffer.concat([ends, Buffer.alloc(4 * 1024 ** 2 - 1), ends]) : ends;
    writeFileSync(join(directory, part), content);
    return { path: part, sizeBytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
  };
  const manifest: BundleManifest = {
    ...{
      formatVersion: 1,
      architecture: process.arch === 'arm64' ? 'aarch64' : 'x86_64',
      distribution: `debian ${mark}`,
      kernelVersion: '6.1.0',
    },
    ...{ builtAt: '2026-01-02T03:04:05Z', inputsHash: '0'.repeat(64), packages: [], packagesHash: '0'.repeat(64) },
    files: Object.fromEntries([
      ...BUNDLE_PARTS.map((part) => [part, write(part)]),
      ...ADDED_PROGRAMS.map((part) => [part, { ...write(part), version: '1.16.1' }]),
    ]) as BundleManifest['files'],
  };
  writeFileSync(join(directory, 'bundle.json'), JSON.stringify(manifest));
  return { directory, manifest };
}

/** Packages a small bundle below `directory`. @returns paths of archive and manifest */
export async function packagedBundle(directory: string, mark = 'one'): Promise<{ archive: string; manifest: string; bundle: Bundle }> {
  const bundle = makeBundle(join(directory, `source-${mark}`), mark);
  const archive = join(directory, `${mark}.tar.zst`);
  const { manifestPath } = await packageBundle({
    ...{ bundle, path: archive, host: realHost, signal: new AbortController().signal },
    onProgress: () => undefined,
  });
  return { archive, manifest: manifestPath, bundle };
}
