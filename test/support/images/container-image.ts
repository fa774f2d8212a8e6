// Container images for tests, made by hand: layers as tar, an OCI layout, and what `docker save` writes.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encodeTarHeader, type TarEntry, tarEnd, tarPadding } from '../../../src/lib/tar.ts';

/** An entry and its content; everything else has defaults. */
export type Piece = Partial<TarEntry> & { path: string; body?: string | Buffer };

/** @returns a tar of the pieces, in order */
export function tarOf(pieces: readonly Piece[]): Buffer {
  const parts = pieces.flatMap(({ body = '', ...piece }) => {
    const content = Buffer.from(body);
    const entry = { type: 'file', mode: 0o644, modifiedMs: 1_700_000_000_000, linkPath: '', sizeBytes: content.length, ...piece };
    return [encodeTarHeader(entry as Parameters<typeof encodeTarHeader>[0]), content, tarPadding(content.length)];
  });
  return Buffer.concat([...parts, tarEnd()]);
}

/** The part of a configuration that says how to run the image. */
export type RunConfig = {
  Entrypoint?: string[];
  Cmd?: string[];
  Env?: string[];
  User?: string;
  WorkingDir?: string;
  StopSignal?: string;
  Volumes?: Record<string, object>;
  Healthcheck?: { Test: string[] };
};

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;

function configOf(layers: readonly Buffer[], config: RunConfig): Buffer {
  const diffIds = layers.map((layer) => `sha256:${sha256(layer)}`);
  return Buffer.from(JSON.stringify({ architecture: ARCHITECTURE, os: 'linux', config, rootfs: { type: 'layers', diff_ids: diffIds } }));
}

/** @returns the files of an OCI layout with one image, `latest`, its layers packed with gzip */
export function ociFiles(layers: readonly Buffer[], config: RunConfig): Map<string, Buffer> {
  const files = new Map<string, Buffer>([['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')]]);
  const blob = (mediaType: string, bytes: Buffer) => {
    files.set(`blobs/sha256/${sha256(bytes)}`, bytes);
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  };
  const manifest = {
    schemaVersion: 2,
    config: blob('application/vnd.oci.image.config.v1+json', configOf(layers, config)),
    layers: layers.map((layer) => blob('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(layer))),
  };
  const described = blob('application/vnd.oci.image.manifest.v1+json', Buffer.from(JSON.stringify(manifest)));
  const entry = { ...described, annotations: { 'org.opencontainers.image.ref.name': 'latest' } };
  return files.set('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [entry] })));
}

/** Writes files below a directory. */
export function writeFiles(directory: string, files: ReadonlyMap<string, Buffer>): string {
  for (const [name, bytes] of files) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), bytes);
  }
  return directory;
}

/** @returns the tar that `docker save` of one image writes */
export function dockerArchive(layers: readonly Buffer[], config: RunConfig, tag = 'test:latest'): Buffer {
  const bytes = configOf(layers, config);
  const configName = `${sha256(bytes)}.json`;
  const names = layers.map((layer) => `${sha256(layer)}/layer.tar`);
  const manifest = JSON.stringify([{ Config: configName, RepoTags: [tag], Layers: names }]);
  return tarOf([
    ...layers.map((body, at) => ({ path: names[at] ?? '', body })),
    { path: configName, body: bytes },
    { path: 'manifest.json', body: manifest },
  ]);
}
