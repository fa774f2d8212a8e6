import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../../host/host.ts';
import { connectOwnSocket } from '../../../lib/own-socket.ts';
import { boundProbe } from '../probe-limit.ts';
import { clockProbeFirmware } from './probe-programs.ts';

/** At this distance, two readings that are each exact to 0.1 ms give the frequency to 0.02 %. */
const BASE_LINE_MS = 600;
const READINGS = 12;
const READING_TIMEOUT_MS = 500;
/** On most virtual hosts, cpuinfo has the exact frequency of the TSC; elsewhere it has the core clock of the moment. */
const CPUINFO_TOLERANCE = 0.0005;

type Reading = { ticks: number; atMs: number; doubtMs: number };

/**
 * Measures the frequency of the time stamp counter that an emulated guest sees, with a tiny program inside QEMU.
 * @param directory private, for the firmware and the socket
 * @returns kHz, or undefined if it could not be measured
 */
export async function measureTscKhz(host: Host, qemuPath: string, directory: string): Promise<number | undefined> {
  const firmware = join(directory, 'clock.bin');
  const socketPath = join(directory, 'clock.sock');
  await host.writeFileAtomic(firmware, clockProbeFirmware());
  const stop = new AbortController();
  const running = host
    .run(
      boundProbe([
        ...[qemuPath, '-M', 'microvm,isa-serial=off', '-accel', 'tcg,tb-size=1', '-m', '16', '-bios', firmware, '-nodefaults'],
        ...['-no-user-config', '-display', 'none', '-chardev', `socket,id=s,path=${socketPath.replaceAll(',', ',,')},server=on,wait=off`],
        ...['-device', 'isa-serial,chardev=s'],
      ]),
      { signal: stop.signal, timeoutMs: 10_000 },
    )
    .catch(() => undefined);
  try {
    const socket = await connectSoon(socketPath, running);
    return socket === undefined ? undefined : await measure(socket).finally(() => socket.destroy());
  } finally {
    stop.abort();
    await running;
    await host.removeTree(socketPath);
  }
}

async function connectSoon(path: string, running: Promise<unknown>): Promise<Socket | undefined> {
  let ended = false;
  void running.then(() => (ended = true));
  while (!ended) {
    const socket = connectOwnSocket(path);
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.on('error', () => undefined);
    if (connected) return socket;
    await sleep(10);
  }
  return undefined;
}

async function measure(socket: Socket): Promise<number | undefined> {
  const first = await bestReading(socket);
  await sleep(BASE_LINE_MS);
  const last = await bestReading(socket);
  return first === undefined || last === undefined ? undefined : tscKhzFrom(first, last);
}

/** @returns whole kHz between two readings */
export function tscKhzFrom(first: Reading, last: Reading): number {
  return Math.round((last.ticks - first.ticks) / (last.atMs - first.atMs));
}

/** @returns the value of cpuinfo if the measured one agrees with it, because it has more digits; else the measured one */
export function preferExact(measuredKhz: number, cpuinfo: string): number {
  const stated = Math.round(Number(/^cpu MHz\s*:\s*([\d.]+)/m.exec(cpuinfo)?.[1] ?? '0') * 1000);
  return Math.abs(stated - measuredKhz) <= measuredKhz * CPUINFO_TOLERANCE ? stated : measuredKhz;
}

/** The reading with the shortest round trip was disturbed the least. */
async function bestReading(socket: Socket): Promise<Reading | undefined> {
  let best: Reading | undefined;
  for (let count = 0; count < READINGS; count++) {
    const reading = await readOnce(socket);
    if (reading !== undefined && (best === undefined || reading.doubtMs < best.doubtMs)) best = reading;
  }
  return best;
}

function readOnce(socket: Socket): Promise<Reading | undefined> {
  const sentAt = performance.now();
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const settle = (reading: Reading | undefined): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      resolve(reading);
    };
    const onClose = (): void => settle(undefined);
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < 8) return;
      const roundTripMs = performance.now() - sentAt;
      settle({ ticks: Number(bytes.readBigUInt64LE(0)), atMs: sentAt + roundTripMs / 2, doubtMs: roundTripMs / 2 });
    };
    const timer = setTimeout(onClose, READING_TIMEOUT_MS);
    socket.on('data', onData);
    socket.once('close', onClose);
    socket.write('?');
  });
}
