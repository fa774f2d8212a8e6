import { join } from 'node:path';
import type { Host } from '../../../host/host.ts';
import { boundProbe } from '../probe-limit.ts';
import { messageOf } from '../../../lib/message-of.ts';

/** Rounds of the measured loop: 2 million instructions, half a millisecond on hardware. */
export const PROBE_ROUNDS = 1_000_000;
/** Below this it is fast, however long the start took (25 ms on hardware). */
const SURELY_FAST_MS = 150;
const START_LIMIT_MS = 30_000;
const LOOP_LIMIT_MS = 5000;

const LOAD_ADDRESS = 0x1000000;
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;

/** The duration of a machine that does nothing, and how much longer it takes with the loop; or why one did not end properly. */
export type SpeedProbe = { startMs: number; loopMs: number } | { failure: string };

/**
 * @returns whether the loop ran at the speed of hardware. If the start alone takes seconds, as inside an emulated host, it also varies by
 * tenths; paravirtual KVM took 1.2 s for the loop and 25 ms for the start.
 */
export function isFast({ startMs, loopMs }: { startMs: number; loopMs: number }): boolean {
  return loopMs <= Math.max(SURELY_FAST_MS, startMs / 2);
}

/** @returns a kernel for Firecracker that counts down and resets through the keyboard controller, which ends Firecracker with status 0 */
export function probeKernel(rounds: number): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(rounds);
  return bareKernel([
    ...[0xb9, ...count], //   mov ecx, rounds
    ...[0xff, 0xc9], //       dec ecx
    ...[0x75, 0xfc], //       jnz dec
    ...[0xb0, 0xfe], //       mov al, 0xfe
    ...[0xe6, 0x64], //       out 0x64, al
    ...[0xf4, 0xeb, 0xfd], // hlt; jmp hlt
  ]);
}

/** @returns a static ELF64 executable (elf(5)) of one piece of code, entered in long mode */
export function bareKernel(instructions: readonly number[]): Buffer {
  const code = Buffer.from(instructions);
  const headers = Buffer.alloc(ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES);
  headers.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  headers.writeUInt16LE(2, 16); // ET_EXEC
  headers.writeUInt16LE(62, 18); // EM_X86_64
  headers.writeUInt32LE(1, 20);
  headers.writeUInt32LE(LOAD_ADDRESS, 24);
  headers.writeUInt32LE(ELF_HEADER_BYTES, 32);
  headers.writeUInt16LE(ELF_HEADER_BYTES, 52);
  headers.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  headers.writeUInt16LE(1, 56);
  const program = headers.subarray(ELF_HEADER_BYTES);
  program.writeUInt32LE(1, 0); // PT_LOAD
  program.writeUInt32LE(5, 4); // readable, executable
  program.writeUInt32LE(headers.length, 8);
  for (const at of [16, 24]) program.writeUInt32LE(LOAD_ADDRESS, at);
  for (const at of [32, 40]) program.writeUInt32LE(code.length, at);
  program.writeUInt32LE(4096, 48);
  return Buffer.concat([headers, code]);
}

/**
 * Runs the loop in Firecracker itself, so that the result holds for VMs. A slow result is measured twice, because a busy host also causes
 * it.
 * @param directory private, existing
 */
export async function probeSpeed(host: Host, program: string, directory: string): Promise<SpeedProbe> {
  let limitMs = START_LIMIT_MS;
  const timed = async (rounds: number): Promise<number> => {
    const kernelPath = join(directory, 'probe.elf');
    const configPath = join(directory, 'probe.json');
    await host.writeFileAtomic(kernelPath, probeKernel(rounds));
    const machine = { vcpu_count: 1, mem_size_mib: 128 };
    await host.writeFileAtomic(
      configPath,
      JSON.stringify({ 'boot-source': { kernel_image_path: kernelPath, boot_args: 'probe' }, drives: [], 'machine-config': machine }),
    );
    const begin = performance.now();
    const argv = [program, '--no-api', '--config-file', configPath, '--id', 'probe'];
    await host.run(boundProbe(argv), { timeoutMs: limitMs });
    return performance.now() - begin;
  };
  const measure = async (): Promise<{ startMs: number; loopMs: number }> => {
    const startMs = await timed(1);
    limitMs = startMs + LOOP_LIMIT_MS;
    return { startMs, loopMs: Math.max(0, (await timed(PROBE_ROUNDS)) - startMs) };
  };
  try {
    const first = await measure();
    return isFast(first) ? first : await measure();
  } catch (error) {
    // The shape of CommandFailure, which belongs to host. Its message names prlimit, which starts Firecracker.
    const { timedOut } = (error as { outcome?: { timedOut?: boolean } }).outcome ?? {};
    if (timedOut === true) return { failure: `Firecracker took more than ${Math.round(limitMs)} ms` };
    return { failure: messageOf(error) };
  }
}
