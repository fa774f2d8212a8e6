import { BangerError, type ErrorCode } from './errors.ts';

/** One fact about this host, a VM, an image or this installation; the unit of `doctor`, of automatic choices and of refusals. */
export type Finding = {
  /** Stable name, e.g. `kvm`, `network.private`, `storage.reflink`. */
  name: string;
  /** `warn`: works, with something lost. */
  level: 'pass' | 'warn' | 'fail';
  /** One sentence with the fact that decided. */
  reason: string;
  /** What mends it, ready to paste where possible. */
  remedy?: string;
  /** Name of the VM that it is about. */
  vm?: string;
  /** Code of the error when it stops a command; default PREREQUISITE_MISSING. */
  code?: ErrorCode;
  /** Absent unless the repair is safe: it neither changes nor removes anything that a user made. */
  fix?: Fix;
};

export type Fix = {
  /** What was done, for people: "wrote …". */
  did: string;
  /** Called when it is the VM's turn; checks again whether it is still needed. */
  apply(): void | Promise<void>;
};

/** What `checks()` of a driver of any kind says of this host: the driver works here when none of the findings is a `fail`. */
export type DriverChecks = {
  /** One for each fact; the first `fail` is what people read as the reason. */
  findings: readonly Finding[];
  /** Version as the program of the driver prints it, when it could be asked. */
  version?: string;
};

/** @returns what keeps the driver from working here; undefined when it works */
export function firstFailure({ findings }: DriverChecks): Finding | undefined {
  return findings.find(({ level }) => level === 'fail');
}

/**
 * Refuses a command because of every finding that fails, so that one try names them all.
 * @param intro stands before the reasons: "The bundle cannot be built here: "
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
