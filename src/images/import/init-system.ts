import { posix } from 'node:path';
import type { InitSystem } from '../../model/image.ts';
import type { Tree } from './tree.ts';

const SYSTEMD = ['/usr/lib/systemd/systemd', '/lib/systemd/systemd'];
const RUNIT = ['/usr/sbin/runit-init', '/sbin/runit-init', '/usr/bin/runit-init'];
/** As many as the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * @param entrypoint of a container image; null for a system
 * @returns what is to run as the first program of the guest; `none`: the agent, which then runs the entrypoint
 */
export function initSystemOf(tree: Tree, entrypoint: readonly string[] | null): InitSystem {
  const first = entrypoint?.[0];
  const asked = first === undefined || entrypoint?.length !== 1 ? undefined : resolveIn(tree, first);
  // A container image names what it runs; it is a system only when that is an init.
  const isPlace = (paths: readonly string[]): boolean =>
    paths.some((path) => resolveIn(tree, path) !== undefined && (first === undefined || asked === resolveIn(tree, path)));
  if (isPlace(SYSTEMD)) return 'systemd';
  return isPlace(RUNIT) ? 'runit' : 'none';
}

/** @returns the path that a file of the image has when all links are followed, inside the image; undefined: there is none */
export function resolveIn(tree: Tree, path: string): string | undefined {
  let left = path.split('/').filter((name) => name !== '');
  let at = '';
  let links = 0;
  while (left.length > 0) {
    const [name = '', ...rest] = left;
    left = rest;
    if (name === '.') continue;
    if (name === '..') {
      at = at.includes('/') ? posix.dirname(at) : '';
      continue;
    }
    const next = at === '' ? name : `${at}/${name}`;
    const node = tree.at(next);
    if (node === undefined) return undefined;
    if (node.type !== 'symlink') {
      at = next;
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) return undefined;
    const { linkPath } = node.entry;
    if (linkPath.startsWith('/')) at = '';
    left = [...linkPath.split('/').filter((part) => part !== ''), ...left];
  }
  return tree.at(at)?.type === 'file' ? at : undefined;
}
