import { join } from 'node:path';
import type { DaemonStatus } from '../api/schemas.ts';
import { BangerError } from '../model/errors.ts';
import type { VmStore } from '../store/vms.ts';
import type { Chooser } from '../lifecycle/drivers/chooser.ts';
import type { Choices, Survey } from '../lifecycle/drivers/decide.ts';
import type { Config } from './config.ts';
import type { Directories } from '../lib/directories.ts';
import type { Pool } from '../lifecycle/pool/pool.ts';
import type { Names } from '../names/names.ts';
import { OPERATION_LOGS } from './operation-log.ts';

type StatusContext = {
  directories: Directories;
  config: Config;
  build: { id: string; version: string };
  vms: Pick<VmStore, 'list'>;
  pool: Pick<Pool, 'state'>;
  chooser: Pick<Chooser, 'look'>;
  names: Pick<Names, 'state'>;
  /** Null without a bundle. */
  bundleDirectory(): Promise<string | null>;
};

/** @returns the status of the daemon itself */
export function statusWork(context: StatusContext): () => Promise<DaemonStatus> {
  const { directories, config, build, chooser, names } = context;
  const startedAt = new Date();
  return async () => {
    const { survey, choices } = await chooser.look();
    const vms = context.vms.list();
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
      bundleDirectory: await context.bundleDirectory(),
      dns: { address: `${config.dns.address}:${config.dns.port}`, ...names.state().dns },
      http: { address: `${config.http.address}:${config.http.port}`, ...names.state().http },
      drivers: choicesOf(survey, choices),
      vms: { total: vms.length, running: vms.filter((vm) => vm.state === 'running').length },
      spares: context.pool.state(),
    };
  };
}

function choicesOf(survey: Survey, choices: Choices | BangerError): DaemonStatus['drivers'] {
  if (choices instanceof BangerError) {
    const none = { name: 'none', reason: choices.message };
    return { hypervisor: none, accelerator: none, storage: none, network: none };
  }
  const { hypervisor, storage, network } = choices;
  const checks = survey.hypervisors.find(({ driver }) => driver === hypervisor.driver)?.checks;
  // The reason why the VMM is slow says more than the reason why it was chosen.
  const decisive = checks?.others?.find(({ accelerator }) => accelerator === 'kvm') ?? checks?.findings.at(-1);
  return {
    hypervisor: { name: hypervisor.driver.name, reason: hypervisor.reason },
    accelerator: { name: checks?.accelerator ?? 'none', reason: decisive?.reason ?? '' },
    storage: { name: storage.driver.name, reason: storage.reason },
    network: { name: network.driver.name, reason: network.reason },
  };
}
