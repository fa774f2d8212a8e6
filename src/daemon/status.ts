import { join } from 'node:path';
import type { DaemonStatus } from '../api/schemas.ts';
import { realHost } from '../host/host.ts';
import { bundleStatus } from '../images/bundle/bundle-status.ts';
import { BangerError } from '../model/errors.ts';
import type { Store } from '../store/store.ts';
import type { Places } from '../lifecycle/bundle/work.ts';
import type { Chooser } from '../lifecycle/drivers/chooser.ts';
import type { Choices, Survey } from '../lifecycle/drivers/decide.ts';
import type { ComposeOptions } from './compose/join.ts';
import type { Names } from '../names/names.ts';
import { OPERATION_LOGS } from './operation-log.ts';
import type { DaemonServices } from './services.ts';

type StatusContext = {
  options: ComposeOptions;
  store: Store;
  chooser: Chooser;
  names: Names;
  places: Places;
};

/** What the daemon tells of itself. */
export function statusWork(context: StatusContext): Pick<DaemonServices, 'status'> {
  const { options, store, chooser, names, places } = context;
  const startedAt = new Date();
  return {
    async status() {
      const { survey, choices } = await chooser.look();
      const vms = store.vms.list();
      const bundle = await bundleStatus({ places: places.bundle, sourceRoot: null, host: realHost });
      const { directories, config, build } = options;
      return {
        pid: process.pid,
        version: build.version,
        build: build.id,
        startedAt: startedAt.toISOString(),
        uptimeMs: Date.now() - startedAt.getTime(),
        memoryBytes: process.memoryUsage.rss(),
        socketPath: directories.socketPath,
        databasePath: `${directories.stateDirectory}/banger.db`,
        logPath: directories.daemonLogPath,
        vmLogsDirectory: join(directories.stateDirectory, 'logs'),
        operationLogsDirectory: join(directories.stateDirectory, OPERATION_LOGS),
        configPath: directories.configPath,
        bundleDirectory: bundle.found ? bundle.directory : null,
        dns: { address: `${config.dns.address}:${config.dns.port}`, ...names.state().dns },
        http: { address: `${config.http.address}:${config.http.port}`, ...names.state().http },
        drivers: choicesOf(survey, choices),
        vms: { total: vms.length, running: vms.filter((vm) => vm.state === 'running').length },
      };
    },
  };
}

function choicesOf(survey: Survey, choices: Choices | BangerError): DaemonStatus['drivers'] {
  if (choices instanceof BangerError) {
    const none = { name: 'none', reason: choices.message };
    return { hypervisor: none, accelerator: none, storage: none, network: none };
  }
  const { hypervisor, storage, network } = choices;
  const checks = survey.hypervisors.find(({ driver }) => driver === hypervisor.driver)?.checks;
  // Why it is not faster says more than that it is there.
  const decisive = checks?.others?.find(({ accelerator }) => accelerator === 'kvm') ?? checks?.verdicts.at(-1);
  return {
    hypervisor: { name: hypervisor.driver.name, reason: hypervisor.reason },
    accelerator: { name: checks?.accelerator ?? 'none', reason: decisive?.reason ?? '' },
    storage: { name: storage.driver.name, reason: storage.reason },
    network: { name: network.driver.name, reason: network.reason },
  };
}
