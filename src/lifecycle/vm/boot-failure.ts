import { BangerError } from '../../model/errors.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { faultOfDisks, lastWords } from './last-words.ts';
import { messageOf } from '../../lib/message-of.ts';

const SHOWN_SERIAL_LINES = 15;

/** Turns a failure of the guest's boot into one error with the guest's last output. */
export async function explainBootFailure(context: VmContext, cause: unknown, timedOut: boolean): Promise<BangerError> {
  const { vm, paths, services } = context;
  const serialTail = await lastWords(context, SHOWN_SERIAL_LINES);
  const seconds = Math.round(services.settings.bootTimeoutMs / 1000);
  // The disks of a new VM are the image's.
  const fault = vm.state === 'creating' ? undefined : faultOfDisks(vm, serialTail);
  const reason = fault ?? messageOf(cause);
  return new BangerError(
    'BOOT_FAILED',
    timedOut ? `the guest agent of ${vm.name} did not answer within ${seconds} s` : `${vm.name} did not boot: ${reason}`,
    {
      cause,
      remedy: remedyOf(vm, fault),
      details: { serialTail, serialLog: paths.serialLog, vmmLog: paths.vmmLog },
      logPath: paths.serialLog,
    },
  );
}

/** A host that is too slow, or lacks something, looks like disks that keep the agent from answering. */
function remedyOf({ state, name }: VmContext['vm'], fault: string | undefined): string {
  const rescue = `banger vm start --rescue ${name}`;
  if (fault !== undefined) return rescue;
  return state === 'creating' ? 'banger doctor' : `banger doctor; if it finds nothing, look at the disks of the VM: ${rescue}`;
}
