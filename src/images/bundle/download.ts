import { createReadStream } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import type { Release } from './release.ts';

export type DownloadOptions = {
  release: Release;
  /** The path of the file. `.partial` beside it holds the part so far, from which a later call continues. */
  path: string;
  host: Host;
  signal: AbortSignal;
  onProgress: (fraction: number | undefined, bytes: number) => void;
};

/** A server that sends nothing for this long is given up; the next call continues. */
const IDLE_MS = 30_000;
/** The limit for a file of unknown size. */
const MAX_BYTES = 1024 ** 3;
const MAX_REDIRECTS = 10;
/** The delay before reconnecting after a broken connection. */
const RESUME_AFTER_MS = 200;

/**
 * Downloads a file with resume: after a broken connection it connects again, as long as each connection brings some data. The file appears
 * at `path` only once its content is verified.
 * @throws DOWNLOAD_FAILED if it cannot be fetched or is another file; CANCELLED
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { release, path, host, signal } = options;
  if ((await host.exists(path)) && (await host.sha256File(path, signal)) === release.sha256) return;
  const partial = `${path}.partial`;
  try {
    await receiveAll(options, partial);
  } catch (error) {
    if (signal.aborted) throw new BangerError('CANCELLED', 'the download was cancelled; the next one continues it', { cause: error });
    if (error instanceof BangerError) throw error;
    throw failure(release.url, reasonOf(error), error);
  }
  const actual = await host.sha256File(partial, signal);
  if (actual !== release.sha256) {
    // A wrong file stays wrong: the next call begins from the start.
    await host.removeTree(partial);
    throw new BangerError('DOWNLOAD_FAILED', `${release.url} has the wrong content: its SHA-256 is ${actual}, not ${release.sha256}`, {
      remedy: 'check url and sha256; nothing was changed',
      details: { url: release.url, expected: release.sha256, actual },
    });
  }
  await rename(partial, path);
}

/**
 * Downloads a small file.
 * @throws DOWNLOAD_FAILED if it cannot be fetched or has more than `maxBytes`
 */
export async function readBytes(url: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const idle = idleLimit();
  try {
    const { stream } = await openSource(url, 0, AbortSignal.any([signal, idle.signal]));
    for await (const chunk of stream) {
      idle.refresh();
      bytes += chunk.length;
      if (bytes > maxBytes) throw failure(url, `it is larger than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof BangerError) throw error;
    signal.throwIfAborted();
    throw failure(url, reasonOf(error), error);
  } finally {
    idle.end();
  }
  return Buffer.concat(chunks);
}

async function receiveAll(options: DownloadOptions, partial: string): Promise<void> {
  const { url, sizeBytes } = options.release;
  for (;;) {
    const before = await sizeOf(partial);
    const problem = await receive(options, partial, before).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    const after = await sizeOf(partial);
    if (problem === undefined && (sizeBytes === undefined || after === sizeBytes)) return;
    const isHopeless = options.signal.aborted || problem?.error instanceof BangerError || after <= before;
    if (isHopeless) throw problem?.error ?? failure(url, `it has only ${after} of ${sizeBytes} bytes`);
    await sleep(RESUME_AFTER_MS, undefined, { signal: options.signal });
  }
}

/** @returns bytes; 0 if there is no such file */
function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function receive({ release, signal, onProgress }: DownloadOptions, partial: string, known: number): Promise<void> {
  const idle = idleLimit();
  try {
    const source = await openSource(release.url, known, AbortSignal.any([signal, idle.signal]));
    const file = await open(partial, source.offset === 0 ? 'w' : 'a', 0o600);
    try {
      let bytes = source.offset;
      for await (const chunk of source.stream) {
        idle.refresh();
        bytes += chunk.length;
        if (bytes > (release.sizeBytes ?? MAX_BYTES))
          throw failure(release.url, `it is larger than ${release.sizeBytes ?? MAX_BYTES} bytes`);
        await file.writeFile(chunk);
        onProgress(release.sizeBytes === undefined ? undefined : bytes / release.sizeBytes, bytes);
      }
      await file.sync();
    } finally {
      await file.close();
    }
  } finally {
    idle.end();
  }
}

/** Aborts if it has not been refreshed for too long. */
function idleLimit(): { signal: AbortSignal; refresh(): void; end(): void } {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(new Error(`no data came for ${IDLE_MS / 1000} seconds`)), IDLE_MS);
  return { signal: idle.signal, refresh: () => void timer.refresh(), end: () => clearTimeout(timer) };
}

/** The rest of a file from `offset` on; the offset is 0 if the download had to begin from the start. */
type Source = { stream: AsyncIterable<Uint8Array>; offset: number };

async function openSource(url: string, offset: number, signal: AbortSignal): Promise<Source> {
  if (new URL(url).protocol === 'file:') return { stream: fileContent(fileURLToPath(url), offset, signal), offset };
  const reply = await request(url, { signal, ...(offset === 0 ? {} : { headers: { range: `bytes=${offset}-` } }) });
  // The partial file is complete, or belongs to another file: the checksum decides.
  if (reply.status === 416) return { stream: nothing(), offset };
  if (!reply.ok || reply.body === null) throw failure(url, `the server answered ${reply.status} ${reply.statusText}`);
  const continues = reply.status === 206 && reply.headers.get('content-range')?.startsWith(`bytes ${offset}-`) === true;
  return { stream: reply.body, offset: continues ? offset : 0 };
}

let trustsHost = false;

/**
 * Trusts what curl on this host trusts: a company's mirror has a certificate of that company. Reading them takes 200 ms, so it happens on
 * demand.
 */
function trustHost(): void {
  if (trustsHost) return;
  setDefaultCACertificates([...new Set([...getCACertificates('default'), ...getCACertificates('system')])]);
  trustsHost = true;
}

/** Follows redirects, but never from a protected connection to one on which anyone on the way may answer. */
async function request(url: string, init: RequestInit): Promise<Response> {
  let place = new URL(url);
  for (let hop = 0; hop < MAX_REDIRECTS; hop++) {
    if (place.protocol === 'https:') trustHost();
    const reply = await fetch(place, { ...init, redirect: 'manual' });
    const location = reply.status >= 300 && reply.status < 400 ? reply.headers.get('location') : null;
    if (location === null) return reply;
    await reply.body?.cancel();
    const next = new URL(location, place);
    if (place.protocol === 'https:' && next.protocol !== 'https:')
      throw failure(url, `it redirects to ${next.href}, which is not encrypted`);
    if (!/^https?:$/.test(next.protocol)) throw failure(url, `it leads to ${next.href}`);
    place = next;
  }
  throw failure(url, `it redirects more than ${MAX_REDIRECTS} times`);
}

/** Opens the file on the first read, so that its errors reach the reader. */
async function* fileContent(path: string, start: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path, { start, highWaterMark: 1024 ** 2 })) {
    signal.throwIfAborted();
    yield chunk as Uint8Array;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function failure(url: string, reason: string, cause?: unknown): BangerError {
  return new BangerError('DOWNLOAD_FAILED', `${url} could not be fetched: ${reason}`, {
    remedy: 'run the command again; it continues the download',
    cause,
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch only says "fetch failed" and keeps the reason in `cause`.
  return error.cause instanceof Error ? error.cause.message : error.message;
}
