// Two programs for a bare emulated CPU, given to QEMU as its whole firmware: 64 KiB, real mode, reset vector at 0xFFF0.

const FIRMWARE_BYTES = 65_536;
const RESET_VECTOR = 0xfff0;

/** The exit status of QEMU after `out 0xf4, 0x10`: isa-debug-exit ends it with (value << 1) | 1. */
export const SPEED_PROBE_STATUS = 33;

/**
 * Counts to a million in a register and ends QEMU through isa-debug-exit at port 0xf4. Hardware needs half a millisecond, TCG a few; the
 * interpreter of paravirtual KVM needs half a second or more.
 */
export function speedProbeFirmware(): Uint8Array {
  const firmware = new Uint8Array(FIRMWARE_BYTES);
  firmware.set(
    [
      ...[0x66, 0xb9, 0x40, 0x42, 0x0f, 0x00], // mov ecx, 1000000
      ...[0x66, 0x49], //                         dec ecx
      ...[0x75, 0xfc], //                         jnz dec
      ...[0xb0, 0x10], //                         mov al, 0x10
      ...[0xe6, 0xf4], //                         out 0xf4, al
      0xf4, //                                    hlt
    ],
    RESET_VECTOR,
  );
  return firmware;
}

/** Answers every byte on the first serial port with the time stamp counter, 8 bytes little-endian. */
export function clockProbeFirmware(): Uint8Array {
  const firmware = new Uint8Array(FIRMWARE_BYTES);
  firmware.set([
    ...[0xba, 0xfd, 0x03], //             start: mov dx, 0x3fd     line status
    ...[0xec, 0xa8, 0x01, 0x74, 0xfb], // wait:  in al, dx; test al, 1; jz wait
    ...[0xba, 0xf8, 0x03, 0xec], //              mov dx, 0x3f8; in al, dx
    ...[0x0f, 0x31], //                          rdtsc
    ...[0x66, 0x89, 0xc3], //                    mov ebx, eax
    ...[0x66, 0x89, 0xd6], //                    mov esi, edx
    ...[0xb9, 0x08, 0x00], //                    mov cx, 8
    ...[0xba, 0xf8, 0x03], //                    mov dx, 0x3f8
    ...[0x88, 0xd8, 0xee], //             byte:  mov al, bl; out dx, al
    ...[0x66, 0x0f, 0xac, 0xf3, 0x08], //        shrd ebx, esi, 8
    ...[0x66, 0xc1, 0xee, 0x08], //              shr esi, 8
    ...[0xe2, 0xf2], //                          loop byte
    ...[0xeb, 0xd6], //                          jmp start
  ]);
  firmware.set([0xe9, 0x0d, 0x00], RESET_VECTOR); // jmp 0: 0xfff3 + 0x0d wraps to 0
  return firmware;
}
