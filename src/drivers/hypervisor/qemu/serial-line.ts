import type { Host } from '../../../host/host.ts';
import { connectOwnSocket } from '../../../lib/own-socket.ts';
import { OUTPUT_LOG_BYTES, type LoggedOutput, logOutput } from '../output-log.ts';

/**
 * Writes the guest's output to a bounded log. QEMU drops output while no client is connected.
 * @returns once connected; if the connection fails, a line that has ended, because logging must not fail a VM
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
