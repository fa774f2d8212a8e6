import type { Finding } from '../../model/finding.ts';

type Accelerator = 'kvm' | 'tcg';

/** The answers of all drivers' own checks; each list best first. */
type DriverAnswers = {
  hypervisors: readonly {
    driver: { name: string; takes: { diskFormats: readonly string[]; networks: readonly string[] } };
    checks: {
      usable: boolean;
      accelerator: Accelerator;
      version?: string;
      findings: readonly Finding[];
      others?: readonly { accelerator: Accelerator; usable: boolean; reason: string; remedy?: string }[];
    };
  }[];
  networks: readonly { driver: { name: string; kind: string }; findings: readonly Finding[] }[];
  storages: readonly { driver: { name: string; format: string }; finding: Finding }[];
};

/** One row of doctor's table. */
export type DriverRow = {
  kind: 'hypervisor' | 'network' | 'storage';
  name: string;
  accelerator: Accelerator | null;
  usable: boolean;
  chosen: boolean;
  reason: string;
  remedy: string | null;
  /** Hypervisors that do not take it. */
  notWith: string[];
};

/**
 * @param chosen names of the drivers that new VMs get; undefined when no VM can be started
 * @returns a row for every driver, and for every accelerator of a VMM
 */
export function tabulate(
  answers: DriverAnswers,
  chosen: { hypervisor: string; storage: string; network: string } | undefined,
): DriverRow[] {
  const hypervisors = answers.hypervisors.flatMap(({ driver: { name }, checks }) => {
    const isChosen = name === chosen?.hypervisor;
    const own = { ...conclude(checks.findings, checks.version), usable: checks.usable };
    const rows = [
      { ...own, accelerator: checks.accelerator, chosen: isChosen },
      ...(checks.others ?? []).map((other) => ({ ...other, chosen: false })),
    ];
    return rows.map((row): DriverRow => ({ kind: 'hypervisor', name, notWith: [], ...row, remedy: row.remedy ?? null }));
  });
  const without = (isTaken: (takes: { diskFormats: readonly string[]; networks: readonly string[] }) => boolean): string[] =>
    answers.hypervisors.filter(({ driver }) => !isTaken(driver.takes)).map(({ driver }) => driver.name);
  const networks = answers.networks.map(({ driver: { name, kind }, findings }): DriverRow => ({
    ...{ kind: 'network', name, accelerator: null, chosen: name === chosen?.network },
    ...conclude(findings),
    notWith: without((takes) => takes.networks.includes(kind)),
  }));
  const storages = answers.storages.map(({ driver: { name, format }, finding }): DriverRow => ({
    ...{ kind: 'storage', name, accelerator: null, chosen: name === chosen?.storage },
    ...conclude([finding]),
    notWith: without((takes) => takes.diskFormats.includes(format)),
  }));
  return [...hypervisors, ...networks, ...storages];
}

/** What the findings of one driver come to; the first failure decides, then the first warning. */
function conclude(findings: readonly Finding[], whenWell?: string): Pick<DriverRow, 'usable' | 'reason' | 'remedy'> {
  const failed = findings.find(({ level }) => level === 'fail');
  const told = failed ?? (whenWell === undefined ? (findings.find(({ level }) => level === 'warn') ?? findings[0]) : undefined);
  return { usable: failed === undefined, reason: told?.reason ?? whenWell ?? 'works here', remedy: told?.remedy ?? null };
}
