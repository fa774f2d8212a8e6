import type { CallOptions } from '../guest/agent-call.ts';
import type { AgentClient } from '../guest/agent-client.ts';
import type { Finding } from '../model/finding.ts';
import type { Step } from './pipeline.ts';
import type { LifecycleServices } from './services.ts';
import type { Vm, VmSpec } from '../model/vm.ts';
import type { LiveMachine } from './machines.ts';
import type { GuestDraft, MachineDraft, VmContext } from './vm-context.ts';

/** By what verbs tell capabilities apart; none asks for a name. */
export type CapabilityTraits = {
  /** Only for VMs that somebody is to find: the VM of a build does without. */
  forPeople?: true;
  /** Its `afterStart` waits for what the guest does; who does not want to wait leaves it out. */
  waitsForGuest?: true;
  /** Acts on the VM's own system, which does not run while it is rescued. */
  ofOwnSystem?: true;
};

/** How a VM was and how it is to be. */
export type Change = { from: Changeable; to: Changeable; isRunning: boolean };
export type Changeable = Pick<Vm, 'name' | 'spec' | 'labels'>;

/** What `vm set` does to a capability. Walked from the last capability to the first: the disks come last, whose growth may have no way back. */
export type CapabilityChange = {
  /** Judged before anything is done. @throws what keeps the change from being made */
  check?(services: LifecycleServices, vm: Vm, to: Changeable): void;
  /** Whether the host must have room for it. */
  takesSpace?(change: Change): boolean;
  /** Done before the change is recorded: what could not be is never recorded. */
  make?(change: Change): Step<VmContext>[];
  /** Done after it, when the VM runs. */
  publish?(change: Change): Step<VmContext>[];
};

/** What goes on beside a VM for as long as its machine is held; ends with `live.companions`. */
export type Companion = {
  /** From the VMM's start on, and from adoption. */
  whilePowered?(context: VmContext, live: LiveMachine): void;
  /** From the time on that the guest knows who it is, and from adoption. */
  whileUp?(context: VmContext, live: LiveMachine): void;
};

/**
 * One thing a VM can have, in one file: what is made for it, what the VMM and the guest are told, and how it goes away.
 * Its members of the spec are declared in the file of the same name in `model/settings/`, which the CLI and the API read, too.
 * Verbs walk the list in order and undo it in reverse; adding a capability changes no verb.
 */
export type Capability = {
  readonly name: string;
  readonly traits?: CapabilityTraits;
  /** Judged before a VM is made. @throws what keeps one with this spec from being made */
  checkNew?(services: LifecycleServices, spec: VmSpec): void | Promise<void>;
  /** Made with the VM, undone by delete. */
  prepare?: Step<VmContext>;
  /** Made before the VMM starts, undone when it has ended. */
  beforeStart?: Step<VmContext>;
  /** Adds to the machine. */
  machine?(context: VmContext, draft: MachineDraft): void;
  /** Done in the guest while its root file system is there and nothing of the image runs yet. Must be repeatable. */
  beforeInit?(context: VmContext, agent: AgentClient, options: CallOptions): Promise<void>;
  /** Adds to what the agent sets before the image's init runs. */
  guestConfig?(context: VmContext, draft: GuestDraft): void | Promise<void>;
  change?: CapabilityChange;
  companion?: Companion;
  /** Done when the guest is personalised or adopted, undone before it is asked to stop. Must be repeatable. */
  afterStart?: Step<VmContext>;
  /**
   * What is not as it should be with this VM, in any state; changes nothing. A start is refused by what fails, `banger
   * doctor` tells all of it. Must end by itself within seconds, also when the guest is silent.
   */
  doctor?(context: VmContext): Finding[] | Promise<Finding[]>;
};
