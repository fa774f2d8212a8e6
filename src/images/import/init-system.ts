import { posix } from 'node:path';
import type { InitSystem } from '../../model/image.ts';
import type { Tree } from './tree.ts';

/** The programs that the guest agent tries as init, in order (native/agent/src/init.c, start_init). */
const EXECUTED = ['/sbin/init', '/lib/systemd/systemd', '/usr/sbin/runit-init'];
/** By the name of the program itself: distributions keep it in different places, and `/sbin/init` is a link to it. */
const KNOWN: ReadonlyMap<string, InitSystem> = new Map([
  ['systemd', 'systemd'],
  ['runit-init', 'runit'],
]);
/** The limit of the kernel (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * @param entrypoint of a container image; null for an image of a system
 * @returns the first program of the guest; `none`: the guest agent, which then runs the entrypoint
 */
export function initSystemOf(tree: Tree, entrypoint: readonly string[] | null): InitSystem {
  const program = EXECUTED.map((path) => resolveIn(tree, path)).find((path) => path !== undefined);
  const system = program === undefined ? undefined : KNOWN.get(posix.basename(program));
  if (system === undefined) return 'none';
  // A container image is a system only if its entrypoint is its init.
  const isAsked = entrypoint === null || (entrypoint.length === 1 && resolveIn(tree, entrypoint[0] ?? '') === program);
  return isAsked ? system : 'none';
}

/** @returns the path of a file of the image after all links, inside the image; undefined: it does not exist */
export function resolveIn(tree: Tree, path: string): string | undefined {
  const place = placeIn(tree, path);
  return place !== undefined && tree.at(place)?.type === 'file' ? place : undefined;
}

/** @returns the target of a path after all links, inside the image, whether or not it exists; undefined: the links form a loop */
export function placeIn(tree: Tree, path: string): string | undefined {
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
    if (node?.type !== 'symlink') {
      at = next;
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) return undefined;
    const { linkPath } = node.entry;
    if (linkPath.startsWith('/')) at = '';
    left = [...linkPath.split('/').filter((part) => part !== ''), ...left];
  }
  return at;
}
