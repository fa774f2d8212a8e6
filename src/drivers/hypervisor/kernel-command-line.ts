import { BangerError } from '../../model/errors.ts';

/** COMMAND_LINE_SIZE of Linux on x86 (arch/x86/include/asm/setup.h), with its final zero byte. */
export const MAX_COMMAND_LINE_BYTES = 2048;

/**
 * @param options.appendedBytes the most that the VMM adds to the line, default 0
 * @returns the kernel command line
 * @throws INVALID_INPUT if Linux would truncate the line, or it contains a line break
 */
export function kernelCommandLine(
  words: readonly string[],
  { vmName, appendedBytes = 0 }: { vmName: string; appendedBytes?: number },
): string {
  const line = words.join(' ');
  const bytes = Buffer.byteLength(line) + appendedBytes;
  if (bytes < MAX_COMMAND_LINE_BYTES && !/[\n\0]/.test(line)) return line;
  throw new BangerError('INVALID_INPUT', `the kernel command line of ${vmName} is too long or contains a line break`, {
    remedy: 'shorten the kernel arguments of the image',
    details: { bytes, limitBytes: MAX_COMMAND_LINE_BYTES },
  });
}
