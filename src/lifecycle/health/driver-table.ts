import { type DriverChecks, firstFailure } from '../../model/finding.ts';

type Accelerator = 'kvm' | 'tcg';

/** The results of all drivers' own checks; each list best first. */
type DriverAnswers = {
  hypervisors: readonly {
    driver: { name: string; takes: { diskFormats: readonly string[]; networks: readonly string[] } };
    checks: DriverChecks & {
      accelerator: Accelerator;
      others?: readonly { accelerator: Accelerator; usable: boolean; reason: string; remedy?: string }[];
    };
  }[];
  networks: readonly { driver: { name: string; kind: string }; checks: DriverChecks }[];
  storages: readonly { driver: { name: string; root: { format: string } }; checks: DriverChecks }[];
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
  /** Hypervisors that do not support it. */
  notWith: string[];
};

/**
 * @param chosen names of the drivers that new VMs get; undefined if no VM can be started
 * @returns a row for every driver, and for every accelerator of a VMM
 */
export function tabulate(
  answers: DriverAnswers,
  chosen: { hypervisor: string; storage: string; network: string } | undefined,
): DriverRow[] {
  const hypervisors = answers.hypervisors.flatMap(({ driver: { name }, checks }) => {
    const isChosen = name === chosen?.hypervisor;
    const rows = [
      { ...conclude(checks), accelerator: checks.accelerator, chosen: isChosen },
      ...(checks.others ?? []).map((other) => ({ ...other, chosen: false })),
    ];
    return rows.map((row): DriverRow => ({ kind: 'hypervisor', name, notWith: [], ...row, remedy: row.remedy ?? null }));
  });
  const without = (isTaken: (takes: { diskFormats: readonly string[]; networks: readonly string[] }) => boolean): string[] =>
    answers.hypervisors.filter(({ driver }) => !isTaken(driver.takes)).map(({ driver }) => driver.name);
  const networks = answers.networks.map(({ driver: { name, kind }, checks }): DriverRow => ({
    ...{ kind: 'network', name, accelerator: null, chosen: name === chosen?.network },
    ...conclude(checks),
    notWith: without((takes) => takes.networks.includes(kind)),
  }));
  const storages = answers.storages.map(({ driver: { name, root }, checks }): DriverRow => ({
    ...{ kind: 'storage', name, accelerator: null, chosen: name === chosen?.storage },
    ...conclude(checks),
    notWith: without((takes) => takes.diskFormats.includes(root.format)),
  }));
  return [...hypervisors, ...networks, ...storages];
}

/** The summary of one driver's findings; the first failure decides, then the first warning. */
function conclude({ findings, version }: DriverChecks): Pick<DriverRow, 'usable' | 'reason' | 'remedy'> {
  const failed = firstFailure({ findings });
  const told = failed ?? (version === undefined ? (findings.find(({ level }) => level === 'warn') ?? findings[0]) : undefined);
  return { usable: failed === undefined, reason: told?.reason ?? version ?? 'works here', remedy: told?.remedy ?? null };
}
