// Turns the run configuration of a container image into files of the system.
import { Buffer } from 'node:buffer';
import { encodeTarHeader, type TarEntry, tarEnd, tarPadding } from '../../lib/tar.ts';
import type { ContainerConfig } from './container.ts';
import { placeIn } from './init-system.ts';
import { type Layer, textAt, type Texts } from './layers.ts';
import type { Tree } from './tree.ts';

/** pam_env(8) reads it for ssh and logins, and the guest agent for `vm exec`; the entrypoint itself gets the variables directly. */
export const ENVIRONMENT = 'etc/environment';
/** Variables that belong to each user. */
const OF_THE_USER: ReadonlySet<string> = new Set(['HOME', 'USER', 'LOGNAME', 'SHELL', 'TERM', 'PWD']);
/** The longest line that every reader of the file accepts (pam_env: 1,024 bytes until version 1.5). */
const MOST_LINE_BYTES = 1000;

type Image = { tree: Tree; texts: Texts };

/**
 * @returns a layer with the working directory, the directories of volumes, and the variables for logins; undefined if nothing is missing
 */
export function runFilesLayer(
  image: Image,
  { env, workdir, volumes }: Pick<ContainerConfig, 'env' | 'workdir' | 'volumes'>,
): Layer | undefined {
  const { tree } = image;
  const parts: Buffer[] = [];
  const entry: TarEntry = { path: '', type: 'directory', mode: 0o755, sizeBytes: 0, modifiedMs: 0, linkPath: '' };
  // docker, too, makes them when a container starts.
  for (const path of [...(workdir === null ? [] : [workdir]), ...volumes]) {
    const directory = placeIn(tree, path);
    if (directory !== undefined && tree.at(directory) === undefined)
      parts.push(encodeTarHeader({ ...entry, type: 'directory', path: directory }));
  }
  const text = environmentText(image, env);
  if (text !== undefined) {
    const body = Buffer.from(text);
    parts.push(
      encodeTarHeader({ ...entry, path: ENVIRONMENT, type: 'file', mode: 0o644, sizeBytes: body.length }),
      body,
      tarPadding(body.length),
    );
  }
  if (parts.length === 0) return undefined;
  const bytes = Buffer.concat([...parts, tarEnd()]);
  return { source: { name: 'run files', sizeBytes: bytes.length, open: () => once(bytes) }, isLayer: false };
}

/** @returns the image's file, with the variables that it does not set; undefined if it stays as it is */
function environmentText(image: Image, env: Readonly<Record<string, string>>): string | undefined {
  const { tree } = image;
  const node = tree.at(ENVIRONMENT);
  const present = node === undefined ? '' : textAt(image, ENVIRONMENT);
  // A link, a directory or a long file was made on purpose.
  if ((node !== undefined && node.type !== 'file') || present === undefined || !['directory', undefined].includes(tree.at('etc')?.type))
    return undefined;
  const known = new Set([...present.matchAll(/^\s*(?:export\s+)?([^=#\s]+)=/gm)].map(([, name]) => name));
  const lines = Object.entries(env).flatMap(([name, value]) => {
    const line = `${name}=${quoted(value)}\n`;
    const fits = /^[^\s#='"]+$/.test(name) && !/[\n\r]/.test(value) && Buffer.byteLength(line) <= MOST_LINE_BYTES;
    return fits && !OF_THE_USER.has(name) && !known.has(name) ? [line] : [];
  });
  return lines.length === 0 ? undefined : `${present}${present === '' || present.endsWith('\n') ? '' : '\n'}${lines.join('')}`;
}

/** Readers remove one pair of quotes and know no escapes. Without quotes, a `#` or a final blank would be lost. */
function quoted(value: string): string {
  if (!/[#'"\s]/.test(value)) return value;
  return value.includes('"') ? `'${value}'` : `"${value}"`;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
