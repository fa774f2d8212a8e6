import { createReadStream, statSync, type Stats } from 'node:fs';
import { PassThrough } from 'node:stream';
import { BangerError } from '../model/errors.ts';
import type { Cli } from './cli.ts';
import { type CopySide, lastPart } from './copy-spec.ts';
import { runSession } from './exec-session.ts';
import { safeText } from './render/text.ts';
import { packDirectory } from './tar-pack.ts';

type GuestSide = Extract<CopySide, { kind: 'guest' }>;

/** Mode of a file that is made from stdin. */
const STREAM_MODE = 0o644;

/**
 * Copies a file, a directory or stdin into a guest. Into an existing directory it goes by its own name, as cp(1) does.
 * @throws NOT_FOUND, GUEST_FILE and what the daemon answers
 */
export async function copyIn(cli: Cli, from: CopySide, to: GuestSide): Promise<void> {
  if (from.kind === 'stream') return copyStreamIn(cli, to);
  if (from.kind !== 'host') return;
  const stat = statOf(from.path);
  const target = await targetInGuest(cli, to, lastPart(from.path, 'copy'));
  if (stat.isDirectory()) return copyDirectoryIn(cli, from.path, to.vm, target);
  if (!stat.isFile()) throw new BangerError('INVALID_INPUT', `${from.path} is neither a file nor a directory`, { remedy: 'copy a file' });
  const upload = { bytes: createReadStream(from.path) as AsyncIterable<Uint8Array>, sizeBytes: stat.size };
  await cli.api().putFile(to.vm, target, stat.mode & 0o7777, upload);
}

function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new BangerError('NOT_FOUND', `there is no file ${path}`, { cause: error, remedy: 'check the path' });
    throw new BangerError('NOT_PERMITTED', `cannot read ${path}: ${code ?? 'unknown error'}`, { cause: error });
  }
}

/** @returns the path that is written: below `to` when that is a directory */
async function targetInGuest(cli: Cli, to: GuestSide, name: string): Promise<string> {
  try {
    const found = await cli.api().statFile(to.vm, to.path);
    return found.type === 'directory' ? `${to.path.replace(/\/+$/, '')}/${name}` : to.path;
  } catch (error) {
    // Not there yet: it becomes the target. A path that ends in a slash was meant as a directory that exists.
    if (error instanceof BangerError && error.code === 'GUEST_FILE' && !to.path.endsWith('/')) return to.path;
    throw error;
  }
}

/** The length of stdin is not known beforehand, so a small shell script in the guest takes it to its end. */
async function copyStreamIn(cli: Cli, to: GuestSide): Promise<void> {
  const script = 'umask 022; cat > "$1.banger-partial" && chmod "$2" "$1.banger-partial" && mv -f "$1.banger-partial" "$1"';
  const argv = ['sh', '-c', script, 'sh', to.path, STREAM_MODE.toString(8)];
  await runInGuest(cli, to.vm, argv, cli.stdin as AsyncIterable<Uint8Array>);
}

async function copyDirectoryIn(cli: Cli, path: string, vm: string, target: string): Promise<void> {
  const script = 'mkdir -p "$1" && exec tar -x -o -p -f - -C "$1"';
  await runInGuest(
    cli,
    vm,
    ['sh', '-c', script, 'sh', target],
    packDirectory(path, (problem) => cli.note(`banger: ${problem}`)),
  );
}

/** @throws GUEST_FILE with what the command said when it fails */
async function runInGuest(cli: Cli, vm: string, argv: string[], input: AsyncIterable<Uint8Array>): Promise<void> {
  const errors = new PassThrough();
  let said = '';
  errors.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-2000)));
  const output = new PassThrough().resume();
  const { status, reason } = await runSession(await cli.api().exec(vm, { argv }), { input, output, errors });
  if (status === 0) return;
  const why = safeText(reason === '' ? said.trim() : reason);
  throw new BangerError('GUEST_FILE', `the guest could not take the copy (status ${status})${why === '' ? '' : `: ${why}`}`, {
    details: { status },
  });
}
