import { BangerError } from '../../model/errors.ts';
import type { Vm } from '../../model/vm.ts';
import type { VmContext } from '../vm-context.ts';

const SHOWN_SERIAL_LINES = 15;

/** A root that does not mount at all, or whose init ends: what its owner made of it, and can mend beside it. */
function isOfDisks({ state, runtime }: Vm, serialTail: readonly string[]): boolean {
  if (state === 'creating' || runtime?.rescue === true) return false;
  return serialTail.some((line) => /^banger-init: \/dev\/|Attempted to kill init/.test(line));
}

/** Turns what went wrong while the guest booted into one error that shows the guest's last words (3.3). */
export async function explainBootFailure(context: VmContext, cause: unknown, timedOut: boolean): Promise<BangerError> {
  const { vm, paths, services } = context;
  const serial = (await services.host.readIfThere(paths.serialLog)) ?? '';
  const serialTail = serial
    .trimEnd()
    .split(/\r?\n/)
    .slice(-SHOWN_SERIAL_LINES)
    .filter((line) => line !== '');
  const seconds = Math.round(services.settings.bootTimeoutMs / 1000);
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BangerError(
    'BOOT_FAILED',
    timedOut ? `the agent of ${vm.name} did not answer within ${seconds} s` : `${vm.name} did not boot: ${reason}`,
    {
      cause,
      remedy: isOfDisks(vm, serialTail) ? `banger vm start --rescue ${vm.name}` : 'banger doctor',
      details: { serialTail, serialLog: paths.serialLog, vmmLog: paths.vmmLog },
      logPath: paths.serialLog,
    },
  );
}
