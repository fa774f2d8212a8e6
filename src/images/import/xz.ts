// Node does not support xz, unlike the other common compressions; the xz program unpacks it, with limits on memory and output.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { mostGrownBytes } from './bytes.ts';
import { refusal } from './problem.ts';
import { messageOf } from '../../lib/message-of.ts';

const MAGIC = Buffer.from('fd377a585a00', 'hex');
/** What unpacking of `xz -9` takes, and a reserve (xz(1), "Compression preset levels"). */
const MEMORY_LIMIT = '256MiB';
const TIMEOUT_MS = 30 * 60_000;
const SCRIPT = 'exec xz --decompress --stdout --no-sparse --threads=1 --memlimit-decompress="$2" > "$1"';

/**
 * @param scratch where to unpack an archive that is packed with xz
 * @param mostBytes the largest unpacked size
 * @returns the path of the archive without xz around it
 * @throws INVALID_INPUT if it is damaged or too large, PREREQUISITE_MISSING without the program
 */
export async function withoutXz(
  path: string,
  { scratch, mostBytes, host, signal }: { scratch: string; mostBytes: number; host: Host; signal: AbortSignal },
): Promise<string> {
  if (!(await host.readHead(path, MAGIC.length)).equals(MAGIC)) return path;
  if ((await host.findProgram('xz', host.confinedSearchPath)) === undefined) {
    throw new BangerError('PREREQUISITE_MISSING', 'unpacking the archive needs xz, which is not installed', {
      remedy: 'sudo apt-get install xz-utils',
    });
  }
  const limit = Math.min(mostBytes, mostGrownBytes((await stat(path)).size));
  try {
    await host.writeFileAtomic(scratch, '');
    // The file size limit stops it: xz gets a signal, or an error of the system call.
    await host.runConfined(
      ['sh', '-c', SCRIPT, 'xz', host.confinedPath(0), MEMORY_LIMIT],
      { files: [scratch], limits: { fileBytes: limit } },
      { input: createReadStream(path), signal, timeoutMs: TIMEOUT_MS },
    );
  } catch (error) {
    signal.throwIfAborted();
    const written = await stat(scratch).then(
      ({ size }) => size,
      () => 0,
    );
    await host.removeTree(scratch);
    if (written >= limit) throw refusal(`it has more than ${limit} bytes when unpacked`, 'make room, or unpack it yourself and examine it');
    throw refusal(`it is packed with xz and damaged (${messageOf(error)})`, 'fetch it again');
  }
  return scratch;
}
