import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { Hypervisor, HypervisorChecks } from '../contract.ts';
import type { FirecrackerSettings } from './checks.ts';
import { createFirecrackerHypervisor } from './driver.ts';
import { type JailHelper, jailedLaunch, parseJailPlaces } from './jail.ts';
import { TAKES } from './machine-config.ts';

const NAME = 'firecracker-jailed';

/**
 * Firecracker in jails that the root helper makes. It is a driver of its own, because a VM must be found and ended in the way in which it
 * was started. The helper decides where jails are, so the driver asks it on demand.
 */
export function createJailedFirecracker(parts: { host: Host; settings: FirecrackerSettings; helper: JailHelper }): Hypervisor {
  const { host, helper } = parts;
  let made: Hypervisor | undefined;
  /** @throws PREREQUISITE_MISSING if no helper answers, or it makes no jails */
  const driver = async (): Promise<Hypervisor> => {
    if (made !== undefined) return made;
    const places = parseJailPlaces(await helper.ask('hello'));
    if (places === undefined) {
      throw new BangerError('PREREQUISITE_MISSING', 'the root helper has no Firecracker and jailer for jails', {
        remedy: 'sudo banger setup --firecracker PATH --jailer PATH',
      });
    }
    // Another caller may have asked meanwhile.
    made ??= createFirecrackerHypervisor({ ...parts, launch: jailedLaunch({ host, helper, places }) });
    return made;
  };
  return {
    name: NAME,
    takes: TAKES,
    checks: async (signal) => {
      try {
        return await (await driver()).checks(signal);
      } catch (error) {
        return withoutJails(error);
      }
    },
    start: async (spec, signal) => (await driver()).start(spec, signal),
    adopt: async (spec, process) => (await driver()).adopt(spec, process),
    find: async (spec) => (await driver()).find(spec),
    cleanUp: async (spec) => (await driver()).cleanUp(spec),
  };
}

function withoutJails(error: unknown): HypervisorChecks {
  if (!(error instanceof BangerError)) throw error;
  const { message, remedy = 'banger doctor' } = error;
  const finding: Finding = { name: 'firecracker.jailer', level: 'fail', reason: message, remedy };
  return { accelerator: 'kvm', findings: [finding] };
}
