import type { Host } from '../../../host/host.ts';
import { connectOwnSocket } from '../../../lib/own-socket.ts';
import { OUTPUT_LOG_BYTES, type LoggedOutput, logOutput } from '../output-log.ts';

/**
 * Writes what the guest prints to a bounded log. QEMU drops what is printed while nobody is connected.
 * @returns once connected; a line that cannot be had is an ended one, since logging must not fail a VM
 */
export async function followSerialLine(
  host: Host,
  socketPath: string,
  logPath: string,
  onOutput?: (chunk: Uint8Array) => void,
): Promise<LoggedOutput> {
  const log = host.openRotatingLog(logPath, OUTPUT_LOG_BYTES);
  const socket = connectOwnSocket(socketPath);
  const line = logOutput(socket, log);
  if (onOutput !== undefined) socket.on('data', onOutput);
  await Promise.race([new Promise<void>((resolve) => socket.once('connect', resolve)), line.ended]);
  return line;
}
