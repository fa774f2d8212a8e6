import type { BundleStatus } from '../../images/bundle/bundle-status.ts';
import { BangerError } from '../../model/errors.ts';
import type { DriverChecks, Finding } from '../../model/finding.ts';
import type { BundleWork } from '../bundle/work.ts';
import type { Chooser } from '../drivers/chooser.ts';
import type { Choices, Survey } from '../drivers/decide.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { withoutCircle } from './circle.ts';
import { type DriverRow, tabulate } from './driver-table.ts';
import { allFindings, fixFindings, type Fixed } from './findings.ts';
import { hostFindings } from './preflight.ts';

/** A finding as it leaves the daemon. */
type SentFinding = Omit<Finding, 'fix' | 'code'> & { fixable?: boolean };

/** What doctor reports. */
export type Report = { drivers: DriverRow[]; findings: SentFinding[] };

/** The daemon's report on this host, its VMs and its images, and the repairs. */
export type DoctorWork = {
  doctor(): Promise<Report>;
  doctorFix(signal: AbortSignal): Promise<{ fixed: Fixed[]; report: Report }>;
};

type DoctorContext = {
  lifecycle: LifecycleServices;
  chooser: Pick<Chooser, 'look'>;
  names: { state(): { dns: { listening: boolean; problem: string | null } } };
  bundle: Pick<BundleWork, 'status'>;
};

export function doctorWork(context: DoctorContext): DoctorWork {
  const { lifecycle, chooser, names } = context;
  async function doctor(): Promise<Report> {
    const bundle = await context.bundle.status();
    const { survey, choices } = await chooser.look({ isFresh: true });
    const ofHost = await hostFindings(lifecycle);
    const ofVms = await allFindings(lifecycle);
    return withoutCircle({
      drivers: tabulate(survey, namesOf(choices)),
      findings: [
        bundleFinding(bundle),
        ...choiceFindings(survey, choices),
        dnsFinding(names),
        ...ofHost.map(toSend),
        ...(await agentFindings(lifecycle)),
        ...(ofVms.length === 0 ? [soundFinding(lifecycle)] : ofVms.map(toSend)),
      ],
    });
  }
  return {
    doctor,
    async doctorFix(signal) {
      const fixed = await fixFindings(lifecycle, signal);
      return { fixed, report: await doctor() };
    },
  };
}

function toSend({ fix, code: _code, ...finding }: Finding): SentFinding {
  return fix === undefined ? finding : { ...finding, fixable: true };
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function soundFinding({ vms: { records: vms }, images: { records: images } }: LifecycleServices): Finding {
  const [vmCount, imageCount] = [vms.list().length, images.list().length];
  const reason = `${counted(vmCount, 'VM')} and ${counted(imageCount, 'image')} checked: nothing wrong`;
  return { name: 'vms', level: 'pass', reason };
}

function namesOf(choices: Choices | BangerError): { hypervisor: string; storage: string; network: string } | undefined {
  if (choices instanceof BangerError) return undefined;
  const { hypervisor, storage, network } = choices;
  return { hypervisor: hypervisor.driver.name, storage: storage.driver.name, network: network.driver.name };
}

/** Only the chosen drivers can fail: a driver that nobody asked for and that does not work here is no problem. */
function choiceFindings(survey: Survey, choices: Choices | BangerError): Finding[] {
  if (choices instanceof BangerError) {
    if (choices.code !== 'PREREQUISITE_MISSING') return [];
    return [{ name: 'drivers', level: 'fail', reason: choices.message, remedy: choices.remedy ?? 'banger daemon logs' }];
  }
  const { hypervisor, storage, network } = choices;
  return [
    ...findingsOf(survey.hypervisors, hypervisor.driver),
    ...findingsOf(survey.storages, storage.driver),
    ...findingsOf(survey.networks, network.driver),
  ];
}

function findingsOf(answers: readonly { driver: unknown; checks: DriverChecks }[], chosen: unknown): readonly Finding[] {
  return answers.find(({ driver }) => driver === chosen)?.checks.findings ?? [];
}

function bundleFinding(bundle: BundleStatus): Finding {
  const remedy = bundle.remedy ?? 'banger bundle build';
  if (!bundle.found || bundle.problems.length > 0) return { name: 'bundle', level: 'fail', reason: bundle.problems.join('; '), remedy };
  if (bundle.stale) return { name: 'bundle', level: 'warn', reason: `the bundle in ${bundle.directory} is older than its sources`, remedy };
  return { name: 'bundle', level: 'pass', reason: `${bundle.distribution}, Linux ${bundle.kernelVersion}, in ${bundle.directory}` };
}

/** Images whose guest agent differs from that of new images, if a command can rebuild them. */
async function agentFindings({ images }: Pick<LifecycleServices, 'images'>): Promise<Finding[]> {
  const found = await Promise.all(images.records.list().map(async (image) => ({ image, ...(await images.freshness(image)) })));
  return found.flatMap(({ image, agentOutdated, rebuildCommand }): Finding[] => {
    if (!agentOutdated || rebuildCommand === null) return [];
    const reason = `the guest agent of ${image.name}, and of its VMs, is older than that of new images`;
    return [{ name: 'images.agent', level: 'warn', reason, remedy: rebuildCommand }];
  });
}

function dnsFinding(names: DoctorContext['names']): Finding {
  const { listening, problem } = names.state().dns;
  if (listening) return { name: 'dns', level: 'pass', reason: '.vm names are answered' };
  return { name: 'dns', level: 'warn', reason: problem ?? 'switched off', remedy: 'set dns.port in config.toml to a free port' };
}
