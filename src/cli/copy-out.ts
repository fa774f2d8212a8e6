import { lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PassThrough } from 'node:stream';
import { bodyOf, writeAll } from '../api/client.ts';
import { readTar, TarProblem } from '../lib/tar.ts';
import { BangerError } from '../model/errors.ts';
import type { Cli } from './cli.ts';
import { type CopySide, lastPart } from './copy-spec.ts';
import { runSession } from './exec-session.ts';
import { safeText } from './render/text.ts';
import { createUnpacker } from './tar-unpack.ts';

type GuestSide = Extract<CopySide, { kind: 'guest' }>;

/**
 * Copies a file or a directory out of a guest, which is not trusted: nothing outside of the target is ever written.
 * Into an existing directory it goes by its own name, as cp(1) does. To stdout a directory goes as a tar archive.
 * @throws GUEST_FILE, NOT_PERMITTED and what the daemon answers
 */
export async function copyOut(cli: Cli, from: GuestSide, to: CopySide): Promise<void> {
  const found = await cli.api().statFile(from.vm, from.path);
  if (to.kind === 'stream') {
    if (found.type === 'directory') await tarFromGuest(cli, from, async (bytes) => writeAll(cli.stdout, bytes));
    else await fileFromGuest(cli, from, (bytes) => writeAll(cli.stdout, bytes));
    return;
  }
  if (to.kind !== 'host') return;
  const target = isDirectory(to.path) ? `${to.path.replace(/\/+$/, '')}/${lastPart(from.path, from.vm)}` : to.path;
  try {
    if (found.type === 'directory') await directoryFromGuest(cli, from, target);
    else await fileToHost(cli, from, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof BangerError || code === undefined) throw error;
    throw new BangerError(code === 'ENOSPC' ? 'NO_SPACE' : 'NOT_PERMITTED', `cannot write ${target}: ${code}`, { cause: error });
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Written beside the target and renamed, so that a broken copy never looks like a whole one. */
async function fileToHost(cli: Cli, from: GuestSide, target: string): Promise<void> {
  const scratch = mkdtempSync(`${dirname(target)}/.banger-cp-`);
  try {
    const file = await open(`${scratch}/file`, 'wx', 0o600);
    try {
      const mode = await fileFromGuest(cli, from, (bytes) => file.writeFile(bytes));
      await file.chmod(mode & 0o777);
    } finally {
      await file.close();
    }
    renameSync(`${scratch}/file`, target);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** @returns the file's mode. @throws GUEST_FILE when less arrives than was announced */
async function fileFromGuest(cli: Cli, from: GuestSide, take: (bytes: Buffer) => Promise<void>): Promise<number> {
  const reply = await cli.api().getFile(from.vm, from.path);
  const dueBytes = Number(reply.headers.get('x-size') ?? Number.NaN);
  let seenBytes = 0;
  for await (const chunk of bodyOf(reply)) {
    seenBytes += chunk.length;
    await take(chunk);
  }
  if (!Number.isNaN(dueBytes) && seenBytes !== dueBytes) {
    throw new BangerError('GUEST_FILE', `only ${seenBytes} of ${dueBytes} bytes of ${from.path} arrived`, { remedy: 'copy it again' });
  }
  const mode = Number.parseInt(reply.headers.get('x-mode') ?? '', 8);
  return Number.isNaN(mode) ? 0o644 : mode;
}

async function directoryFromGuest(cli: Cli, from: GuestSide, target: string): Promise<void> {
  if (lstatSync(target, { throwIfNoEntry: false }) === undefined) mkdirSync(target);
  else if (!isDirectory(target))
    throw new BangerError('INVALID_INPUT', `${target} exists and is not a directory`, { remedy: 'remove it first' });
  const unpacker = createUnpacker(target, (problem) => cli.note(`banger: ${problem}`));
  const archive = new PassThrough();
  const reading = readTar(archive, unpacker).catch((error: unknown) => {
    archive.destroy();
    throw error instanceof TarProblem
      ? new BangerError('GUEST_FILE', error.message, { remedy: 'is tar installed in the guest?', cause: error })
      : error;
  });
  reading.catch(() => undefined);
  try {
    const sending = tarFromGuest(cli, from, (bytes) => writeAll(archive, bytes)).finally(() => archive.end());
    // What the reader found wrong explains a broken pipe; what the guest said explains an empty archive.
    const [read, sent] = await Promise.allSettled([reading, sending]);
    if (read.status === 'rejected' && read.reason instanceof BangerError && read.reason.cause === undefined) throw read.reason;
    if (sent.status === 'rejected') throw sent.reason;
    if (read.status === 'rejected') throw read.reason;
    unpacker.finish();
  } finally {
    await unpacker.abandon();
  }
}

/** @throws GUEST_FILE with what tar said when it fails */
async function tarFromGuest(cli: Cli, from: GuestSide, take: (bytes: Buffer) => Promise<void>): Promise<void> {
  let said = '';
  const errors = new PassThrough().on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-2000)));
  const output = new PassThrough();
  const taking = (async () => {
    for await (const chunk of output) await take(chunk as Buffer);
  })();
  taking.catch(() => output.destroy());
  const argv = ['tar', '-c', '-f', '-', '-C', from.path, '.'];
  const { status, reason } = await runSession(await cli.api().exec(from.vm, { argv }), { input: undefined, output, errors });
  output.end();
  await taking;
  if (status === 0) return;
  const why = safeText(reason === '' ? said.trim() : reason);
  throw new BangerError('GUEST_FILE', `the guest could not send ${from.path} (status ${status})${why === '' ? '' : `: ${why}`}`, {
    details: { status },
  });
}
