import type { DaemonStatus } from '../../api/schemas.ts';
import { tabulate } from '../../doctor/capabilities.ts';
import { realHost } from '../../host/host.ts';
import { bundleStatus } from '../../images/bundle/bundle-status.ts';
import { BangerError } from '../../model/errors.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { Store } from '../../store/store.ts';
import type { Places } from './bundle-work.ts';
import type { Chooser } from './chooser.ts';
import type { Choices, Survey } from './decide.ts';
import type { ComposeOptions } from './join.ts';
import type { Names } from './names.ts';
import type { DaemonServices } from '../services.ts';

type StatusContext = {
  options: ComposeOptions;
  store: Store;
  chooser: Chooser;
  names: Names;
  places: Places;
};

/** What the daemon tells of itself and of this host. */
export function statusWork(context: StatusContext): Pick<DaemonServices, 'status' | 'doctor'> {
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
        configPath: directories.configPath,
        bundleDirectory: bundle.found ? bundle.directory : null,
        dns: { address: `${config.dns.address}:${config.dns.port}`, ...names.state().dns },
        http: { address: `${config.http.address}:${config.http.port}`, ...names.state().http },
        drivers: choicesOf(survey, choices),
        vms: { total: vms.length, running: vms.filter((vm) => vm.state === 'running').length },
      };
    },
    async doctor(signal) {
      const bundle = await bundleStatus({ places: places.bundle, sourceRoot: places.sourceRoot, host: realHost, signal });
      const { survey, choices } = await chooser.look({ isFresh: true });
      return {
        drivers: tabulate(survey, namesOf(choices)),
        verdicts: [bundleVerdict(bundle), ...choiceVerdicts(survey, choices), dnsVerdict(names)],
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

function namesOf(choices: Choices | BangerError): { hypervisor: string; storage: string; network: string } | undefined {
  if (choices instanceof BangerError) return undefined;
  const { hypervisor, storage, network } = choices;
  return { hypervisor: hypervisor.driver.name, storage: storage.driver.name, network: network.driver.name };
}

/** Only what was chosen can fail: a driver that nobody asked for and that does not work here is no fault. */
function choiceVerdicts(survey: Survey, choices: Choices | BangerError): Verdict[] {
  if (choices instanceof BangerError) {
    if (choices.code !== 'PREREQUISITE_MISSING') return [];
    return [{ name: 'drivers', level: 'fail', reason: choices.message, remedy: choices.remedy ?? 'banger daemon logs' }];
  }
  const { hypervisor, storage, network } = choices;
  return [
    ...(survey.hypervisors.find(({ driver }) => driver === hypervisor.driver)?.checks.verdicts ?? []),
    ...survey.storages.filter(({ driver }) => driver === storage.driver).map(({ verdict }) => verdict),
    ...(survey.networks.find(({ driver }) => driver === network.driver)?.verdicts ?? []),
  ];
}

function bundleVerdict(bundle: Awaited<ReturnType<typeof bundleStatus>>): Verdict {
  const remedy = bundle.remedy ?? 'banger bundle build';
  if (!bundle.found || bundle.problems.length > 0) return { name: 'bundle', level: 'fail', reason: bundle.problems.join('; '), remedy };
  if (bundle.stale) return { name: 'bundle', level: 'warn', reason: `the bundle in ${bundle.directory} is older than its sources`, remedy };
  return { name: 'bundle', level: 'pass', reason: `${bundle.distribution}, Linux ${bundle.kernelVersion}, in ${bundle.directory}` };
}

function dnsVerdict(names: Names): Verdict {
  const { listening, problem } = names.state().dns;
  if (listening) return { name: 'dns', level: 'pass', reason: '.vm names are answered' };
  return { name: 'dns', level: 'warn', reason: problem ?? 'switched off', remedy: 'set dns.port in config.toml to a free port' };
}
