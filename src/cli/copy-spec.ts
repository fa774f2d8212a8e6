// Arguments of `vm cp`: NAME:/path, - or a path of this host.
import { readFileSync } from 'node:fs';
import { type CopyPlan, type CopySide, refuseUnusable } from '../client/copy-sides.ts';
import { BangerError } from '../model/errors.ts';

/**
 * Reads `NAME:/path`, `-` or a path of the host. A host path with a colon needs a slash before it (`./a:b`), as with scp and docker.
 * @param raw the bytes of the same argument
 * @throws INVALID_INPUT for a relative path in the guest
 */
export function parseSide(text: string, raw: Buffer = Buffer.from(text)): CopySide {
  if (text === '-') return { kind: 'stream' };
  const colon = text.indexOf(':');
  if (colon < 1 || text.slice(0, colon).includes('/')) return { kind: 'host', path: text, bytes: raw };
  const path = text.slice(colon + 1);
  if (!path.startsWith('/')) {
    throw new BangerError('INVALID_INPUT', `${JSON.stringify(text)} is not an absolute path in the guest`, {
      remedy: `${text.slice(0, colon)}:/path; a file of this host with a colon: ./${text}`,
    });
  }
  return { kind: 'guest', vm: text.slice(0, colon), path, bytes: raw.subarray(raw.indexOf(':') + 1) };
}

/**
 * @param paths the sources, then the target; several sources need a directory as target
 * @returns one copy for each source
 * @throws INVALID_INPUT unless exactly one side is in a guest, and for a path that no system accepts
 */
export function planCopies(paths: readonly string[]): CopyPlan[] {
  const raw = rawArguments(paths);
  const sides = paths.map((text, i) => parseSide(text, raw[i]));
  const target = streamOf(sides.pop(), OWN_OUTPUTS);
  if (target === undefined || sides.length === 0) {
    throw new BangerError('USAGE', 'a source and a target are needed', { remedy: 'banger vm cp --help' });
  }
  const isSingle = sides.length === 1;
  const to = isSingle || target.kind === 'stream' ? target : asDirectory(target);
  return sides.map((source) => {
    const from = streamOf(source, OWN_INPUTS) ?? source;
    if ((from.kind === 'guest') === (to.kind === 'guest')) {
      throw new BangerError('INVALID_INPUT', 'one side must be in a virtual machine, the other on this host', {
        remedy:
          to.kind === 'guest'
            ? 'copy to this host first, then to the other machine'
            : 'write NAME:/path for the side in a machine; `banger vm list` shows the names',
      });
    }
    if (!isSingle && (from.kind === 'stream' || to.kind === 'stream')) {
      throw new BangerError('INVALID_INPUT', '- is one file and cannot be combined with other sources', { remedy: 'banger vm cp --help' });
    }
    for (const side of [from, to]) refuseUnusable(side);
    return { from, to };
  });
}

/** The child process that copies has other descriptors under these names. */
const OWN_INPUTS: ReadonlySet<string> = new Set(['/dev/stdin', '/dev/fd/0', '/proc/self/fd/0']);
const OWN_OUTPUTS: ReadonlySet<string> = new Set(['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1']);

function streamOf(side: CopySide | undefined, own: ReadonlySet<string>): CopySide | undefined {
  return side?.kind === 'host' && own.has(side.path) ? { kind: 'stream' } : side;
}

/** With this suffix, only a directory is accepted. */
function asDirectory(side: Exclude<CopySide, { kind: 'stream' }>): CopySide {
  return { ...side, path: `${side.path}/.`, bytes: Buffer.concat([side.bytes, Buffer.from('/.')]) };
}

/**
 * Node decodes arguments as UTF-8 and loses other bytes, so that different arguments look alike. The kernel still has the bytes, in order.
 */
function rawArguments(texts: readonly string[]): Buffer[] {
  if (!texts.some((text) => text.includes('\uFFFD'))) return texts.map((text) => Buffer.from(text));
  const line = readFileSync('/proc/self/cmdline');
  const words: Buffer[] = [];
  for (let at = 0; at < line.length;) {
    const end = line.indexOf(0, at);
    words.push(line.subarray(at, end < 0 ? line.length : end));
    at += (words.at(-1)?.length ?? 0) + 1;
  }
  return texts.map((text) => {
    const found = words.findIndex((word) => word.toString('utf8') === text);
    return found < 0 ? Buffer.from(text) : (words.splice(found, 1)[0] ?? Buffer.from(text));
  });
}
