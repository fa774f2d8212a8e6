import type { CallOptions } from '../guest/agent-call.ts';
import type { AgentClient } from '../guest/agent-client.ts';
import type { Finding } from '../model/finding.ts';
import type { Step } from './pipeline.ts';
import type { LifecycleServices } from './services.ts';
import type { Vm, VmSpec } from '../model/vm.ts';
import type { LiveMachine } from './machines.ts';
import type { GuestDraft, MachineDraft, VmContext } from './vm-context.ts';

/** Verbs choose capabilities by these traits, never by name. */
export type CapabilityTraits = {
  /** Only for VMs that people use; the VM of an image build does not get it. */
  forPeople?: true;
  /** Its `afterStart` waits for the guest; a start that need not wait skips it. */
  waitsForGuest?: true;
  /** Acts on the VM's own system, which does not run during a rescue. */
  ofOwnSystem?: true;
};

/** A VM before and after `vm set`. */
export type Change = { from: Changeable; to: Changeable; isRunning: boolean };
export type Changeable = Pick<Vm, 'name' | 'spec' | 'labels'>;

/**
 * What `vm set` changes in a capability. Verbs go from the last capability to the first, so that disks, which cannot shrink again, come
 * last.
 */
export type CapabilityChange = {
  /** Runs before any change. @throws the reason to refuse the change */
  check?(services: LifecycleServices, vm: Vm, to: Changeable): void;
  /** Whether the host must have room for it. */
  takesSpace?(change: Change): boolean;
  /** Runs before the change is recorded, so that a failed change is never recorded. */
  make?(change: Change): Step<VmContext>[];
  /** Runs after the change is recorded, if the VM runs. */
  publish?(change: Change): Step<VmContext>[];
};

/** Work that runs beside a VM while the daemon holds its machine; ends with `live.companions`. */
export type Companion = {
  /** From the VMM's start on, and from adoption. */
  whilePowered?(context: VmContext, live: LiveMachine): void;
  /** From personalisation on, and from adoption. */
  whileUp?(context: VmContext, live: LiveMachine): void;
};

/**
 * One feature of VMs, in one file: its steps, its part of the machine and of the guest's configuration, its undo.
 * Its members of the spec are declared in the file of the same name in `model/settings/`, which the CLI and the API read, too.
 * Verbs walk the list in order and undo it in reverse; adding a capability changes no verb.
 */
export type Capability = {
  readonly name: string;
  readonly traits?: CapabilityTraits;
  /** Runs before a VM is made. @throws the reason why a VM with this spec cannot be made */
  checkNew?(services: LifecycleServices, spec: VmSpec): void | Promise<void>;
  /** Made with the VM, undone by delete. */
  prepare?: Step<VmContext>;
  /**
   * In place of `prepare` for a VM that begins as a copy of a running one: makes that for which the VMM has the content. Undone as `prepare`
   * is.
   */
  prepareFork?(context: VmContext, source: VmContext, signal: AbortSignal): Promise<void>;
  /** Made before the VMM starts, undone when the VMM has ended. */
  beforeStart?: Step<VmContext>;
  /** Adds to the machine. */
  machine?(context: VmContext, draft: MachineDraft): void;
  /** Runs in the guest with its root mounted, before anything of the image runs. Must be repeatable. */
  beforeInit?(context: VmContext, agent: AgentClient, options: CallOptions): Promise<void>;
  /** Adds to what the guest agent sets up before the image's init runs. */
  guestConfig?(context: VmContext, draft: GuestDraft): void | Promise<void>;
  change?: CapabilityChange;
  companion?: Companion;
  /** Runs after personalisation or adoption, undone before the guest shuts down. Must be repeatable. */
  afterStart?: Step<VmContext>;
  /**
   * Finds what is wrong with this VM, in any state, and changes nothing. A failing finding refuses a start; `banger doctor` shows all of
   * them. Must end within seconds, even if the guest does not answer.
   */
  doctor?(context: VmContext): Finding[] | Promise<Finding[]>;
};
