// A fictitious release archive, and a server that behaves as badly as some servers do.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { encodeTarHeader, tarEnd, tarPadding } from '../../../src/lib/tar.ts';

type Entry = { path: string; content: string; type?: 'file' | 'symlink'; linkPath?: string };

/** @returns a program that only prints its version */
export function sayingProgram(name: string, version: string): string {
  return `#!/bin/sh\necho "${name} v${version}"\n`;
}

/** @returns the two programs with their names in a release, among its other files */
export function releaseEntries(version: string, jailerVersion = version): Entry[] {
  const folder = `release-v${version}-x86_64`;
  return [
    { path: `${folder}/LICENSE`, content: 'free\n' },
    { path: `${folder}/firecracker-v${version}-x86_64`, content: sayingProgram('Firecracker', version) },
    { path: `${folder}/firecracker-v${version}-x86_64.debug`, content: 'symbols' },
    { path: `${folder}/jailer-v${version}-x86_64`, content: sayingProgram('Jailer', jailerVersion) },
    { path: '../../escape', content: 'out of the target' },
  ];
}

export function releaseArchive(entries: readonly Entry[]): { bytes: Buffer; sha256: string } {
  const pieces = entries.flatMap(({ path, content, type = 'file', linkPath = '' }) => {
    const body = Buffer.from(type === 'file' ? content : '');
    return [encodeTarHeader({ path, type, mode: 0o755, sizeBytes: body.length, modifiedMs: 0, linkPath }), body, tarPadding(body.length)];
  });
  const bytes = gzipSync(Buffer.concat([...pieces, tarEnd()]), { level: 0 });
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

export type ReleaseServer = {
  url: string;
  /** The `Range` of each request; undefined if it had none. */
  ranges: (string | undefined)[];
  /** For each of the next requests, the number of bytes of the body after which the connection ends. */
  cuts: number[];
  ignoresRange: boolean;
  /** A truncated body ends like a complete one. */
  cutsQuietly: boolean;
};

/** Serves `bytes` on a loopback port until the end of the test. */
export async function serveRelease(t: TestContext, bytes: Buffer): Promise<ReleaseServer> {
  const state: ReleaseServer = { url: '', ranges: [], cuts: [], ignoresRange: false, cutsQuietly: false };
  const server = createServer((request, response) => {
    const { range } = request.headers;
    state.ranges.push(range);
    const start = range === undefined || state.ignoresRange ? 0 : Number(/^bytes=(\d+)-$/.exec(range)?.[1]);
    if (request.url !== '/firecracker.tgz') return void response.writeHead(404).end();
    if (start >= bytes.length) return void response.writeHead(416).end();
    const body = bytes.subarray(start);
    const cut = state.cuts.shift();
    response.writeHead(start === 0 ? 200 : 206, {
      'content-length': cut !== undefined && state.cutsQuietly ? cut : body.length,
      ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    });
    if (cut === undefined) response.end(body);
    else if (state.cutsQuietly) response.end(body.subarray(0, cut));
    else if (cut === 0) response.destroy();
    else response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 50));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/firecracker.tgz`;
  return state;
}
