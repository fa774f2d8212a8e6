// The guest's end of the frames: it runs the requested command on this host. Only for tests of the CLI.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { encodeData, encodeExit, encodeFrame, FRAME_TYPES, FrameDecoder } from '../../../src/lib/frames.ts';

const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: banger-frames\r\n\r\n';

export type GuestFrames = { signals: number[]; sizes: [number, number][]; closed: Promise<void> };

/** The host's end of a copy, which `make build` makes. */
export const COPY_PROGRAM = join(import.meta.dirname, '../../../dist/banger-copy');

/** The guest agent copies with the same code as the host. */
function hostCommand(argv: readonly string[]): readonly string[] {
  return argv[0] === '/proc/self/exe' && argv[1] === 'copy' ? [COPY_PROGRAM, ...argv.slice(2)] : argv;
}

/** Answers the upgrade and runs `argv` with stdin, stdout and stderr as frames. */
export function runAsGuest(socket: Duplex, argv: readonly string[]): GuestFrames {
  const closed = Promise.withResolvers<void>();
  const frames: GuestFrames = { signals: [], sizes: [], closed: closed.promise };
  socket.write(SWITCHING);
  const [program = '', ...args] = hostCommand(argv);
  const child = spawn(program, args, { stdio: 'pipe' });
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (chunk: Buffer) => socket.write(encodeData(chunk)));
  child.stderr.on('data', (chunk: Buffer) => socket.write(encodeData(chunk, 'stderr')));
  child.on('error', () => socket.write(encodeExit(127, `${program}: not found`)));
  child.on('close', (code, signal) => {
    if (code !== null || signal !== null) socket.write(Buffer.concat([encodeFrame('eof'), encodeExit(code ?? 128 + 15)]));
  });
  // As the guest agent does when the client disconnects.
  socket.once('close', () => child.kill('SIGHUP'));
  const decoder = new FrameDecoder();
  socket.on('data', (chunk: Buffer) => {
    for (const { type, payload } of decoder.push(chunk)) {
      if (type === FRAME_TYPES.data) child.stdin.write(payload);
      else if (type === FRAME_TYPES.eof) child.stdin.end();
      else if (type === FRAME_TYPES.signal) {
        frames.signals.push(payload.readUInt8(0));
        child.kill(payload.readUInt8(0));
      } else if (type === FRAME_TYPES.resize) frames.sizes.push([payload.readUInt16BE(0), payload.readUInt16BE(2)]);
      else if (type === FRAME_TYPES.close) {
        closed.resolve();
        socket.end();
      }
    }
  });
  socket.resume();
  return frames;
}
