// Compares two unpacked copies of one image, file by file. Needs root, to keep owners and to mount a file system.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** What tree-facts.py prints about a file. */
export type Facts = { path: string; type: string; [fact: string]: unknown };
export type TreeFacts = ReadonlyMap<string, Facts>;

const PROGRAM = join(import.meta.dirname, 'tree-facts.py');
const TEXT = { encoding: 'utf8', maxBuffer: 512 * 1024 ** 2 } as const;
/** In its own mount namespace, where no other program sees it; the real `/mnt` may be in use. */
const MOUNT = 'mount -t tmpfs none /mnt; mkdir /mnt/root; mount -o loop,ro,noload "$1" /mnt/root; exec python3 "$2" /mnt/root';

const parse = (text: string): TreeFacts =>
  new Map(text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Facts].map((one) => [one.path, one] as const))));

/** @param image `LAYOUT:TAG` @returns what umoci unpacks of it; nothing is left below `directory` */
export function unpackedFacts(image: string, directory: string): TreeFacts {
  const bundle = mkdtempSync(join(directory, 'unpacked-'));
  try {
    execFileSync('umoci', ['unpack', '--image', image, join(bundle, 'bundle')], { stdio: 'pipe' });
    return parse(execFileSync('python3', [PROGRAM, join(bundle, 'bundle', 'rootfs')], TEXT));
  } finally {
    rmSync(bundle, { recursive: true, force: true });
  }
}

/** @returns the content of an ext4 file system, which is only read */
export function mountedFacts(path: string): TreeFacts {
  return parse(execFileSync('unshare', ['--mount', 'sh', '-eu', '-c', MOUNT, 'mount', path, PROGRAM], TEXT));
}

/**
 * Fails with a list of all files that differ.
 * @param isExplained whether there is a reason why a file differs or exists on one side only
 */
export function assertSameFiles(expected: TreeFacts, found: TreeFacts, isExplained: (one: Facts) => boolean): void {
  const paths = [...new Set([...expected.keys(), ...found.keys()])];
  const differences = paths.flatMap((path) => {
    const sides = [expected.get(path), found.get(path)];
    const isSame = JSON.stringify(sides[0]) === JSON.stringify(sides[1]);
    return isSame || sides.every((facts) => facts === undefined || isExplained(facts)) ? [] : [sides];
  });
  assert.deepEqual(differences, []);
  console.log(`${paths.length} files are the same`);
}
