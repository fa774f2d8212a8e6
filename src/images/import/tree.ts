// Merges layers into one file system. It never touches the host: it only compares paths.
import { posix } from 'node:path';
import { encodeName } from '../../lib/byte-names.ts';
import type { TarEntry } from '../../lib/tar-entry.ts';
import { ACL_ATTRIBUTES, aclAttribute, type IdOf } from './acl.ts';
import { refusal, shown } from './problem.ts';
import { checkTime } from './inode-commands.ts';

/** A file; several paths share it if they are hard links of each other. */
export type Node = {
  type: 'file' | 'directory' | 'symlink' | 'fifo' | 'device';
  entry: TarEntry;
  /** The layer of its content, and the number of the entry in it. */
  layer: number;
  index: number;
};

/** A full desktop has some 300 000 files. */
export const MOST_ENTRIES = 500_000;
/** Names and attributes stay in memory until everything is written. */
const MOST_HELD_BYTES = 256 * 1024 ** 2;
/** The largest id in an ordinary user's range of ids. */
const MOST_ID = 65_535;
/**
 * mke2fs 1.47.0 writes one byte behind its buffer if a path, with a leading slash, reaches 2,039 bytes, which corrupts its heap. It also
 * holds a directory open for each level.
 */
const MOST_PATH_BYTES = 2000;
const MOST_LEVELS = 500;
const MOST_NAME_BYTES = 255;
/** PATH_MAX, and what fits into a block of ext4. */
const MOST_TARGET_BYTES = 4095;
/**
 * The most of a file's attributes that ext4 stores: a block, and part of the inode. More would need inodes of their own (ea_inode), which
 * mke2fs 1.47.0 miscounts.
 */
const MOST_ATTRIBUTE_BYTES = 4000;
const ATTRIBUTE_HEAD_BYTES = 24;
/** The kernel's limit on ext4 (EXT4_LINK_MAX); mke2fs counts on and overflows. */
const MOST_LINKED = 65_000;
/** The limit of the kernel (path_resolution(7)). */
const MOST_LINKS = 40;
const SHALLOW = 'leave it out, or move it up';
const SHORTER = 'leave it out, or keep it in a file';
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Attributes that an image may have; labels of security modules belong to the host that wrote them. */
const KEPT_XATTRS = /^(security\.capability$|system\.posix_acl_(access|default)$|user\.)/;

/** The node of a directory without an entry. */
const implicitDirectory = (path: string): TarEntry => ({ path, type: 'directory', mode: 0o755, sizeBytes: 0, modifiedMs: 0, linkPath: '' });

/**
 * The merged file system. Entries are refused rather than changed: a path with `..`, from the root, or through a link means another place
 * than it seems.
 */
export class Tree {
  /** By path without a slash at either end; the root is ''. */
  readonly nodes = new Map<string, Node>([['', { type: 'directory', entry: implicitDirectory(''), layer: -1, index: -1 }]]);
  readonly #children = new Map<string, Set<string>>();
  #entries = 0;
  #heldBytes = 0;

  /**
   * Adds an entry on top of the present tree.
   * @param isLayer whether `.wh.` names remove files of lower layers (image-spec, layer.md, "Whiteouts")
   * @param prefix of its path, for files that banger adds itself
   * @returns whether its content is part of the image
   * @throws INVALID_INPUT
   */
  add(entry: TarEntry, place: { layer: number; index: number; isLayer: boolean; prefix?: string }): void {
    this.#entries += 1;
    if (this.#entries > MOST_ENTRIES) throw refusal(`it has more than ${MOST_ENTRIES} entries`, 'import a smaller one');
    const said = cleanPath((place.prefix ?? '') + entry.path, entry.type);
    const path = place.isLayer ? this.#throughLinks(said, place.layer) : said;
    this.#hold(entry);
    if (place.isLayer && isHidden(posix.dirname(path))) return;
    if (place.isLayer && posix.basename(path).startsWith(WHITEOUT)) return this.#takeAway(path, place.layer);
    // The guest's kernel makes them.
    if ((entry.type === 'device' || entry.type === 'fifo') && path.startsWith('dev/')) return;
    if (entry.type === 'other') throw refusal(`${shown(path)} has an unsupported type`);
    if ((entry.uid ?? 0) > MOST_ID || (entry.gid ?? 0) > MOST_ID) {
      throw refusal(`${shown(path)} belongs to user ${entry.uid}:${entry.gid}; ids go up to ${MOST_ID}`, 'change its owner');
    }
    checkTime(path, entry);
    this.#needDirectories(path);
    if (entry.type === 'symlink' && encodeName(entry.linkPath).length > MOST_TARGET_BYTES) {
      throw refusal(`${shown(path)} is a link to a path of more than ${MOST_TARGET_BYTES} bytes`);
    }
    if (entry.type === 'hardlink') return this.#link(path, entry, place);
    const kept = new Map([...(entry.xattrs ?? [])].filter(([name]) => KEPT_XATTRS.test(name)));
    this.#put(path, { type: entry.type, entry: { ...entry, xattrs: kept }, layer: place.layer, index: place.index });
  }

  #hold({ path, linkPath, xattrs = new Map(), acls = new Map(), sparse }: TarEntry): void {
    this.#heldBytes += path.length + linkPath.length + 16 * (sparse?.pieces.length ?? 0);
    for (const [name, value] of [...xattrs, ...acls]) this.#heldBytes += name.length + value.length;
    if (this.#heldBytes > MOST_HELD_BYTES) {
      throw refusal(`its names and attributes take more than ${MOST_HELD_BYTES} bytes`, 'import a smaller one');
    }
  }

  /**
   * A layer may bring files that a later one removes, so only the result is checked. The names in access control lists refer to the whole
   * image.
   * @throws INVALID_INPUT
   */
  settle(idOf: IdOf): void {
    const names = new Map<Node, number>();
    const below = new Map<string, number>();
    for (const [path, node] of this.nodes) {
      settleAttributes(path, node, idOf);
      if (node.type === 'device')
        throw refusal(`${shown(path)} is a device node outside /dev, which could give access to disks`, 'leave it out of the image');
      if (node.type === 'directory') below.set(parentOf(path), (below.get(parentOf(path)) ?? 0) + 1);
      else names.set(node, (names.get(node) ?? 0) + 1);
      if ((names.get(node) ?? 0) > MOST_LINKED) throw refusal(`${shown(path)} is one of more than ${MOST_LINKED} names of one file`);
    }
    for (const [path, count] of below) {
      if (count > MOST_LINKED - 2) throw refusal(`${shown(path)} has more than ${MOST_LINKED - 2} directories in it`);
    }
  }

  /** @returns the node at a path of the image; does not follow links */
  at(path: string): Node | undefined {
    return this.nodes.get(path);
  }

  /**
   * A layer may reach a directory through a link of lower layers, such as `bin` in a system where that is a link: the entry goes where the
   * link leads, inside the image. Through a link of its own layer, it may not.
   */
  #throughLinks(path: string, layer: number): string {
    const names = path.split('/');
    const last = names.pop() ?? '';
    let at = '';
    for (let links = 0; names.length > 0;) {
      const name = names.shift() ?? '';
      const next = at === '' ? name : `${at}/${name}`;
      const node = this.nodes.get(next);
      if (node?.type !== 'symlink' || node.layer >= layer) {
        at = next;
        continue;
      }
      links += 1;
      if (links > MOST_LINKS) throw refusal(`the links on the way to ${shown(path)} form a loop`);
      const { linkPath } = node.entry;
      // The parent of the root is the root.
      const target = posix.join('/', linkPath.startsWith('/') ? '' : at, linkPath).split('/');
      names.unshift(...target.filter((part) => part !== ''));
      at = '';
    }
    return at === '' ? last : `${at}/${last}`;
  }

  #link(path: string, entry: TarEntry, { layer, isLayer }: { layer: number; isLayer: boolean }): void {
    const named = cleanPath(entry.linkPath, 'hardlink');
    const target = isLayer ? this.#throughLinks(named, layer) : named;
    const node = this.nodes.get(target);
    if (node === undefined || node.type === 'directory') {
      throw refusal(`${shown(path)} is a hard link to ${shown(target)}, which is no file of the image`);
    }
    if (target !== path) this.#put(path, node);
  }

  #needDirectories(path: string): void {
    let at = '';
    for (const name of path.split('/').slice(0, -1)) {
      at = at === '' ? name : `${at}/${name}`;
      const node = this.nodes.get(at);
      if (node === undefined) this.#put(at, { type: 'directory', entry: implicitDirectory(at), layer: -1, index: -1 });
      else if (node.type !== 'directory') throw refusal(`${shown(path)} lies below ${shown(at)}, which is a ${node.type}`);
    }
  }

  #put(path: string, node: Node): void {
    const before = this.nodes.get(path);
    // A directory over a directory replaces its attributes and keeps its content.
    if (before !== undefined && (before.type !== 'directory' || node.type !== 'directory')) this.#remove(path);
    this.nodes.set(path, node);
    if (path === '') return;
    const parent = parentOf(path);
    let names = this.#children.get(parent);
    if (names === undefined) this.#children.set(parent, (names = new Set()));
    names.add(path);
  }

  #takeAway(path: string, layer: number): void {
    const parent = parentOf(path);
    const name = posix.basename(path);
    if (name === OPAQUE) {
      for (const child of [...(this.#children.get(parent) ?? [])]) this.#removeOlder(child, layer);
    } else {
      if (name === WHITEOUT || name.startsWith(`${WHITEOUT}${WHITEOUT}`)) return;
      const hidden = name.slice(WHITEOUT.length);
      if (hidden === '.' || hidden === '..') throw refusal(`${shown(path)} is a whiteout without a name`);
      this.#removeOlder(parent === '' ? hidden : `${parent}/${hidden}`, layer);
    }
  }

  /** Files of a whiteout's own layer stay, wherever in the archive the whiteout stands. */
  #removeOlder(path: string, layer: number): void {
    const node = this.nodes.get(path);
    if (node === undefined) return;
    for (const child of [...(this.#children.get(path) ?? [])]) this.#removeOlder(child, layer);
    if (node.layer !== layer && (this.#children.get(path)?.size ?? 0) === 0) this.#remove(path);
  }

  #remove(path: string): void {
    for (const child of [...(this.#children.get(path) ?? [])]) this.#remove(child);
    this.#children.delete(path);
    this.#children.get(parentOf(path))?.delete(path);
    this.nodes.delete(path);
  }
}

/** @throws INVALID_INPUT if ext4 has no room for its attributes */
function settleAttributes(path: string, node: Node, idOf: IdOf): void {
  const { acls = new Map<string, string>(), ...entry } = node.entry;
  const xattrs = new Map(entry.xattrs);
  for (const [kind, text] of acls) {
    if (kind !== 'access' && kind !== 'default') throw refusal(`${shown(path)} has an access list of NFS, which ext4 does not store`);
    const value = aclAttribute(text, path, idOf);
    if (value !== undefined && !xattrs.has(ACL_ATTRIBUTES[kind])) xattrs.set(ACL_ATTRIBUTES[kind], value);
  }
  if (acls.size > 0) node.entry = { ...entry, xattrs };
  const bytes = [...xattrs].reduce((sum, [name, value]) => sum + name.length + value.length + ATTRIBUTE_HEAD_BYTES, 0);
  if (bytes <= MOST_ATTRIBUTE_BYTES) return;
  throw refusal(`the attributes of ${shown(path)} have ${bytes} bytes; ext4 holds ${MOST_ATTRIBUTE_BYTES}`, SHORTER);
}

/**
 * @returns the path without `./` and without doubled, leading or trailing slashes; '' for the root. An absolute path, as kaniko and `tar
 * -P` write it, starts at the image's root.
 * @throws INVALID_INPUT for a path that leads out
 */
export function cleanPath(path: string, type: TarEntry['type']): string {
  if (path.includes('\0')) throw refusal(`${shown(path)} is no path`);
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) throw refusal(`${shown(path)} leads out of the image`);
  if (names.some((name) => encodeName(name).length > MOST_NAME_BYTES)) throw refusal(`${shown(path)} has a name of more than 255 bytes`);
  if (names.length > MOST_LEVELS) throw refusal(`${shown(path)} lies more than ${MOST_LEVELS} directories deep`, SHALLOW);
  if (encodeName(names.join('/')).length > MOST_PATH_BYTES) {
    throw refusal(`${shown(path)} is a path of more than ${MOST_PATH_BYTES} bytes`, SHALLOW);
  }
  if (names.length === 0 && type !== 'directory') throw refusal('an entry has no name');
  return names.join('/');
}

/** Such names hold the metadata of a union file system, which no program of the image has ever seen. */
function isHidden(path: string): boolean {
  return path.split('/').some((name) => name.startsWith(WHITEOUT));
}

function parentOf(path: string): string {
  return path.includes('/') ? posix.dirname(path) : '';
}
