import { BangerError } from '../../../model/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { OverlayHelper } from './helper-lines.ts';
import { parseSupport } from './helper-lines.ts';

/** Asks the helper whether the kernel has what overlays need; changes nothing. */
export async function dmSnapshotCheck(helper: OverlayHelper): Promise<Finding> {
  const name = 'storage.dm-snapshot';
  try {
    const support = parseSupport(await helper.ask('hello'));
    if ('version' in support) return { name, level: 'pass', reason: `the root helper answers, with device-mapper ${support.version}` };
    return {
      name,
      level: 'fail',
      reason: `the kernel's device-mapper cannot be used: ${support.missing}`,
      remedy: 'sudo modprobe -a dm_mod dm_snapshot loop',
    };
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    return { name, level: 'fail', reason: error.message, remedy: error.remedy ?? 'sudo banger setup' };
  }
}
