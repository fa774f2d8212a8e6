import { BangerError, type ErrorCode } from './errors.ts';

/** One fact about this host, a VM, an image or this installation. `doctor`, the choice of drivers and refusals all use findings. */
export type Finding = {
  /** Stable name, e.g. `kvm`, `network.private`, `storage.reflink`. */
  name: string;
  /** `warn`: it works, but something is lost. */
  level: 'pass' | 'warn' | 'fail';
  /** One sentence with the decisive fact. */
  reason: string;
  /** The remedy, ready to paste if possible. */
  remedy?: string;
  /** Name of the VM, if it is about one. */
  vm?: string;
  /** Code of the error if it stops a command; default PREREQUISITE_MISSING. */
  code?: ErrorCode;
  /** Absent unless the repair is safe: it neither changes nor removes anything that a user made. */
  fix?: Fix;
};

export type Fix = {
  /** What the repair did, for people: "wrote …". */
  did: string;
  /** Called with the VM's lock held; checks again whether the repair is still needed. */
  apply(): void | Promise<void>;
};

/** The result of `checks()` of a driver of any kind: the driver works here if none of the findings is a `fail`. */
export type DriverChecks = {
  /** One for each fact; people see the first `fail` as the reason. */
  findings: readonly Finding[];
  /** Version as the driver's program prints it, if known. */
  version?: string;
};

/** @returns the reason why the driver does not work here; undefined if it works */
export function firstFailure({ findings }: DriverChecks): Finding | undefined {
  return findings.find(({ level }) => level === 'fail');
}

/**
 * Refuses a command because of all failing findings at once, so that the user sees them all.
 * @param intro text before the reasons: "The bundle cannot be built here: "
 * @throws an error with the first finding's code, every reason and every remedy
 */
export function refuseFailures(findings: readonly Finding[], intro = '', details: Record<string, unknown> = {}): void {
  const failures = findings.filter(({ level }) => level === 'fail');
  const [first] = failures;
  if (first === undefined) return;
  const remedies = new Set(failures.flatMap(({ remedy }) => remedy ?? []));
  throw new BangerError(first.code ?? 'PREREQUISITE_MISSING', `${intro}${failures.map(({ reason }) => reason).join('; ')}`, {
    remedy: [...remedies].join('; '),
    details: { ...details, missing: failures.map(({ name }) => name) },
  });
}
