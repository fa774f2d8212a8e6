// Container images made by independent tools: umoci writes an OCI layout, and skopeo turns an image of it into an archive.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../user/installed.ts';

/** One change of an image, as arguments of umoci-insert(1) and umoci-config(1). */
export type ImageChange = readonly ['insert' | 'config', ...string[]];

/**
 * Runs a tool without a network and home directory, in its own namespaces, where every file belongs to root.
 * @param directory for what the tools keep while they work
 */
function runAlone(directory: string, command: readonly string[]): void {
  const home = join(directory, 'tools');
  mkdirSync(home, { recursive: true });
  const env = ['env', '-i', 'PATH=/usr/bin:/bin', `HOME=${home}`, `TMPDIR=${home}`, `XDG_RUNTIME_DIR=${home}`];
  runTool(['unshare', '--map-root-user', '--net', '--', ...env, ...command], directory);
}

/**
 * Makes the OCI layout `layout` below a directory.
 * @param images the changes that make each image, by tag; one layer per insert, with sources relative to the directory
 * @returns its path; others can read it
 */
export function makeLayout(directory: string, images: Readonly<Record<string, readonly ImageChange[]>>): string {
  runAlone(directory, ['umoci', 'init', '--layout', 'layout']);
  for (const [tag, changes] of Object.entries(images)) {
    const image = ['--image', `layout:${tag}`];
    runAlone(directory, ['umoci', 'new', ...image]);
    for (const [verb, ...words] of changes) runAlone(directory, ['umoci', verb, ...image, ...words]);
  }
  // umoci lets only its own user read what it writes.
  runAlone(directory, ['chmod', '-R', 'a+rX', 'layout']);
  return join(directory, 'layout');
}

/** @param form of the archive: `docker-archive` is what `docker save` writes @returns path of the archive of one image of `layout` */
export function archiveOf(directory: string, tag: string, form: 'oci-archive' | 'docker-archive'): string {
  const copy = ['skopeo', '--insecure-policy', '--tmpdir', join(directory, 'tools'), 'copy', '--quiet'];
  runAlone(directory, [...copy, `oci:layout:${tag}`, `${form}:${tag}.${form}:${tag}:latest`]);
  return join(directory, `${tag}.${form}`);
}
