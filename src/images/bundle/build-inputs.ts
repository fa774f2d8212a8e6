import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Raised whenever the builder itself makes something else from the same inputs, so that older bundles count as stale. */
const BUILDER_VERSION = 1;

/** The source folders from which a bundle is made. */
export const AGENT_FOLDER = 'native/agent';
export const FORWARDER_FOLDER = 'native/forwarder';
/** The hash over both. */
export const COMMON_FOLDER = 'native/common';
export const DEBIAN_FOLDER = 'images/debian';

/**
 * @param parts texts in a fixed order
 * @returns one SHA-256 (hex) of all parts; every part is delimited, so moving text between parts changes it
 */
export function hashOf(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
}

/** @returns SHA-256 over names and contents of all files below `folder`, without `build` folders and dotfiles */
export async function hashFolder(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const path of await sourceFiles(folder, '')) {
    const content = await readFile(join(folder, path));
    hash.update(`${path}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

async function sourceFiles(root: string, below: string): Promise<string[]> {
  const found: string[] = [];
  const entries = await readdir(join(root, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.') || entry.name === 'build') continue;
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await sourceFiles(root, path)));
    else if (entry.isFile()) found.push(path);
  }
  return found;
}

export type SourceHashes = { agent: string; forwarder: string; debian: string; all: string };

/**
 * @param sourceRoot directory with `native` and `images/debian`
 * @returns the hash of each folder, and of all of them with the builder's version, which `bundle.json` records as `inputsHash`; undefined
 * if a folder is missing
 */
export async function hashSources(sourceRoot: string): Promise<SourceHashes | undefined> {
  try {
    const hashIn = (folder: string): Promise<string> => hashFolder(join(sourceRoot, folder));
    const common = await hashIn(COMMON_FOLDER);
    const agent = hashOf(common, await hashIn(AGENT_FOLDER));
    const forwarder = hashOf(common, await hashIn(FORWARDER_FOLDER));
    const debian = await hashIn(DEBIAN_FOLDER);
    return { agent, forwarder, debian, all: hashOf(String(BUILDER_VERSION), agent, forwarder, debian) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
