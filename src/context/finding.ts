import type { ErrorCode } from '../model/errors.ts';
import type { Verdict } from '../model/verdict.ts';

/** Something about a VM, an image or this installation that is not as it should be. */
export type Finding = Verdict & {
  level: 'warn' | 'fail';
  /** Name of the VM that it is about. */
  vm?: string;
  /** How a command that cannot go on because of it fails; default PREREQUISITE_MISSING. */
  code?: ErrorCode;
  /** Only where it is safe: nothing that a user made is changed or removed. */
  fix?: Fix;
};

export type Fix = {
  /** What was done, for people: "wrote …". */
  did: string;
  /** Called when it is the VM's turn; must look again whether it is still needed. */
  apply(): void | Promise<void>;
};
