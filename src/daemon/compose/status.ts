import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import { realHost } from '../../host/host.ts';
import { bundleStatus } from '../../images/bundle/bundle-status.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { Store } from '../../store/store.ts';
import type { Places } from './bundle-work.ts';
import type { ComposeOptions } from './join.ts';
import type { Names } from './names.ts';
import { acceleratorReason, type Choice } from './drivers.ts';
import type { DaemonServices } from '../services.ts';

type StatusContext = {
  options: ComposeOptions;
  store: Store;
  hypervisor: Choice<Hypervisor>;
  storage: Choice<StorageDriver>;
  storages: readonly StorageDriver[];
  network: () => Choice<NetworkDriver>;
  names: Names;
  places: Places;
};

/** What the daemon tells of itself and of this host. */
export function statusWork(context: StatusContext): Pick<DaemonServices, 'status' | 'doctor'> {
  const { options, store, storage, names, places } = context;
  const hypervisor = context.hypervisor.driver;
  const startedAt = new Date();
  return {
    async status() {
      const checks = await hypervisor.checks();
      const vms = store.vms.list();
      const bundle = await bundleStatus({ places: places.bundle, sourceRoot: null, host: realHost });
      const network = context.network();
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
        configPath: directories.configPath,
        bundleDirectory: bundle.found ? bundle.directory : null,
        dns: { address: `${config.dns.address}:${config.dns.port}`, ...names.state() },
        drivers: {
          hypervisor: { name: hypervisor.name, reason: checks.version ?? checks.verdicts[0]?.reason ?? '' },
          accelerator: { name: checks.accelerator, reason: acceleratorReason(checks) },
          storage: { name: storage.driver.name, reason: storage.reason },
          network: { name: network.driver.name, reason: network.reason },
        },
        vms: { total: vms.length, running: vms.filter((vm) => vm.state === 'running').length },
      };
    },
    async doctor(signal) {
      const bundle = await bundleStatus({ places: places.bundle, sourceRoot: places.sourceRoot, host: realHost, signal });
      const verdicts = await Promise.all([
        hypervisor.checks(signal).then((checks) => checks.verdicts),
        Promise.all(context.storages.map((driver) => driver.check(options.directories.stateDirectory))).then(softenUnchosen(storage)),
        context.network().driver.checks(),
      ]);
      return [bundleVerdict(bundle), ...verdicts.flat(), ...(context.network().obstacles ?? []), dnsVerdict(names)];
    },
  };
}

/** A storage driver that does not work here is no fault while another one is in use. */
function softenUnchosen(chosen: Choice<StorageDriver>): (verdicts: Verdict[]) => Verdict[] {
  return (verdicts) =>
    verdicts.map((verdict) =>
      verdict.level === 'fail' && verdict.name !== `storage.${chosen.driver.name}` ? { ...verdict, level: 'warn' } : verdict,
    );
}

function bundleVerdict(bundle: Awaited<ReturnType<typeof bundleStatus>>): Verdict {
  const remedy = bundle.remedy ?? 'banger bundle build';
  if (!bundle.found || bundle.problems.length > 0) return { name: 'bundle', level: 'fail', reason: bundle.problems.join('; '), remedy };
  if (bundle.stale) return { name: 'bundle', level: 'warn', reason: `the bundle in ${bundle.directory} is older than its sources`, remedy };
  return { name: 'bundle', level: 'pass', reason: `${bundle.distribution}, Linux ${bundle.kernelVersion}, in ${bundle.directory}` };
}

function dnsVerdict(names: Names): Verdict {
  const { listening, problem } = names.state();
  if (listening) return { name: 'dns', level: 'pass', reason: '.vm names are answered' };
  return { name: 'dns', level: 'warn', reason: problem ?? 'switched off', remedy: 'set dns.port in config.toml to a free port' };
}
