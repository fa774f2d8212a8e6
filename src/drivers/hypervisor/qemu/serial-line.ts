import { connect } from 'node:net';
import type { Host } from '../../../host/host.ts';
import { SERIAL_LOG_BYTES, type SerialLine, logSerialOutput } from '../serial-output.ts';

/**
 * Writes what the guest prints to a bounded log. QEMU drops what is printed while nobody is connected.
 * @returns once connected; a line that cannot be had is an ended one, since logging must not fail a VM
 */
export async function followSerialLine(host: Host, socketPath: string, logPath: string): Promise<SerialLine> {
  const log = host.openRotatingLog(logPath, SERIAL_LOG_BYTES);
  const socket = connect({ path: socketPath });
  const line = logSerialOutput(socket, log);
  await Promise.race([new Promise<void>((resolve) => socket.once('connect', resolve)), line.ended]);
  return line;
}
