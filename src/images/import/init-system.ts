import { posix } from 'node:path';
import type { InitSystem } from '../../model/image.ts';
import type { Tree } from './tree.ts';

/** What the agent executes: the first that is there (native/agent/src/init.c, start_init). */
const EXECUTED = ['/sbin/init', '/lib/systemd/systemd', '/usr/sbin/runit-init'];
/** By the name of the program itself: distributions keep it in different places, and `/sbin/init` is a link to it. */
const KNOWN: ReadonlyMap<string, InitSystem> = new Map([
  ['systemd', 'systemd'],
  ['runit-init', 'runit'],
]);
/** As many as the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * @param entrypoint of a container image; null for a system
 * @returns what is to run as the first program of the guest; `none`: the agent, which then runs the entrypoint
 */
export function initSystemOf(tree: Tree, entrypoint: readonly string[] | null): InitSystem {
  const program = EXECUTED.map((path) => resolveIn(tree, path)).find((path) => path !== undefined);
  const system = program === undefined ? undefined : KNOWN.get(posix.basename(program));
  if (system === undefined) return 'none';
  // A container image names what it runs; it is a system only when that is its init.
  const isAsked = entrypoint === null || (entrypoint.length === 1 && resolveIn(tree, entrypoint[0] ?? '') === program);
  return isAsked ? system : 'none';
}

/** @returns the path that a file of the image has when all links are followed, inside the image; undefined: there is none */
export function resolveIn(tree: Tree, path: string): string | undefined {
  const place = placeIn(tree, path);
  return place !== undefined && tree.at(place)?.type === 'file' ? place : undefined;
}

/** @returns where a path leads when all links are followed, inside the image, whether anything is there or not; undefined: links without end */
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
