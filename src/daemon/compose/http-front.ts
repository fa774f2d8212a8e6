import { dirname, join } from 'node:path';
import { createHttpFront, type HttpFront, type Look } from '../../http/front.ts';
import { spawnChannel } from '../../host/spawn.ts';
import type { LifecycleServices } from '../../lifecycle/services.ts';
import { startVm } from '../../lifecycle/vm/verbs.ts';
import type { ComposeOptions } from './join.ts';

/** @returns the front of this daemon, whose program lies beside the daemon's own; undefined when it is switched off */
export function httpFrontOf({ config, directories, log }: ComposeOptions): HttpFront | undefined {
  if (!config.http.enabled) return undefined;
  const program = join(dirname(process.argv[1] ?? '/'), 'http-front.cjs');
  return createHttpFront({
    ...config.http,
    // The directory tells in a list of processes whose it is.
    start: () => spawnChannel([process.execPath, program, directories.runtimeDirectory, config.network.share]),
    log: (level, message, facts) => log[level](facts, message),
  });
}

/** @param mayWake whether a person may start a VM that is stopped from its page */
export function lookOf(services: LifecycleServices, mayWake: boolean): Look {
  return (name, wake) => {
    const vm = services.vms.findByName(name);
    if (vm === undefined) return 'unknown';
    if (vm.state === 'starting' || vm.state === 'creating' || vm.state === 'running') return 'starting';
    if (!mayWake || vm.state !== 'stopped') return 'stopped';
    if (!wake) return 'asleep';
    startVm(services, vm, {});
    return 'starting';
  };
}
