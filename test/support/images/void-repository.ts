// A handmade repository in the format of xbps: packages, their signatures, the index.
import { createPublicKey, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Plist, renderPlist } from '../../../src/images/void/plist.ts';
import { splitPkgver } from '../../../src/images/void/version.ts';
import { type Piece, sha256, tarOf } from './container-image.ts';

/** The recipe of a package. */
export type Recipe = {
  /** `foo-1.0_1`. */
  pkgver: string;
  files?: readonly Piece[];
  /** Shell; run as `INSTALL pre|post NAME VERSION`. */
  install?: string;
  /** Further properties, such as run_depends. */
  props?: Readonly<Record<string, Plist>>;
};

export type MadePackage = { pkgver: string; bytes: Buffer; properties: Map<string, Plist> };

export type Signer = { privateKey: KeyObject; pem: string };

export function newSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { privateKey, pem: publicKey.export({ type: 'spki', format: 'pem' }) };
}

export const sign = (bytes: Buffer, { privateKey }: Signer): Buffer => createSign('RSA-SHA256').update(bytes).sign(privateKey);

/** @returns the package that xbps-create(1) would make of the recipe. @param compress default: zstd, like Void */
export function packageOf(
  { pkgver, files = [], install, props = {} }: Recipe,
  compress: (tar: Buffer) => Buffer = zstdCompressSync,
): MadePackage {
  const { name = '', version = '' } = splitPkgver(pkgver) ?? {};
  const properties = new Map<string, Plist>([
    ...Object.entries({ architecture: 'x86_64', pkgname: name, version, pkgver, short_desc: name, installed_size: sizeOf(files) }),
    ...Object.entries(props),
  ]);
  const scripts: Piece[] = install === undefined ? [] : [{ path: './INSTALL', mode: 0o755, body: install }];
  const tar = tarOf([
    ...scripts,
    { path: './props.plist', body: renderPlist(properties) },
    { path: './files.plist', body: renderPlist(filesOf(files)) },
    ...files,
  ]);
  return { pkgver, bytes: compress(tar), properties };
}

const sizeOf = (files: readonly Piece[]): number => files.reduce((sum, { body = '' }) => sum + Buffer.byteLength(body), 0);

function filesOf(files: readonly Piece[]): Map<string, Plist> {
  const path = (piece: Piece): string => piece.path.replace(/^\./, '');
  const plain = files.filter(({ type = 'file' }) => type === 'file');
  const links = files.filter(({ type }) => type === 'symlink');
  return new Map<string, Plist>([
    [
      'files',
      plain.map(
        (one): Plist =>
          new Map([
            ['file', path(one)],
            ['sha256', sha256(Buffer.from(one.body ?? ''))],
          ]),
      ),
    ],
    [
      'links',
      links.map(
        (one): Plist =>
          new Map([
            ['file', path(one)],
            ['target', one.linkPath ?? ''],
          ]),
      ),
    ],
  ]);
}

/** @returns `x86_64-repodata`. @param signer null for a repository that says that it is not signed */
export function indexOf(
  packages: readonly MadePackage[],
  signer: Signer | null,
  change: (entry: Map<string, Plist>) => void = () => undefined,
): Buffer {
  const index = new Map<string, Plist>();
  for (const { pkgver, bytes, properties } of packages) {
    const entry = new Map<string, Plist>([...properties, ['filename-sha256', sha256(bytes)], ['filename-size', bytes.length]]);
    for (const key of ['pkgname', 'version']) entry.delete(key);
    change(entry);
    index.set(splitPkgver(pkgver)?.name ?? '', entry);
  }
  const meta = signer === null ? '' : renderPlist(metaOf(signer));
  return gzipSync(
    tarOf([
      { path: 'index.plist', body: renderPlist(index) },
      { path: 'index-meta.plist', body: meta },
      { path: 'stage.plist', body: '' },
    ]),
  );
}

function metaOf({ pem }: Signer): Map<string, Plist> {
  return new Map<string, Plist>([
    ['public-key', Buffer.from(pem)],
    ['public-key-size', createPublicKey(pem).asymmetricKeyDetails?.modulusLength ?? 0],
    ['signature-by', 'banger tests'],
    ['signature-type', 'rsa'],
  ]);
}

/** Writes packages, signatures and index into a directory. */
export function writeRepository(directory: string, packages: readonly MadePackage[], signer: Signer): string {
  mkdirSync(directory, { recursive: true });
  for (const { pkgver, bytes } of packages) {
    const path = join(directory, `${pkgver}.x86_64.xbps`);
    writeFileSync(path, bytes);
    writeFileSync(`${path}.sig2`, sign(bytes, signer));
  }
  writeFileSync(join(directory, 'x86_64-repodata'), indexOf(packages, signer));
  return directory;
}

/** Serves the files of a directory on loopback. @returns its address; `asked` are the requested names */
export async function serveDirectory(directory: string): Promise<{ url: string; asked: string[]; close(): Promise<void> }> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    const name = decodeURIComponent((request.url ?? '/').slice(1));
    asked.push(name);
    const path = join(directory, name);
    if (name.includes('..') || !existsSync(path)) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': statSync(path).size });
    createReadStream(path).pipe(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
