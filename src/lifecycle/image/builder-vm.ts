import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import { isTrusting, takeTrustBack } from '../../capabilities/host-trust.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import { LIMITS } from '../../model/limits.ts';
import { type HostTrust, trustOf } from '../../model/settings/host-trust.ts';
import { shortId, type Vm } from '../../model/vm.ts';
import { runAll, type Step } from '../../context/pipeline.ts';
import type { LifecycleServices } from '../../context/services.ts';
import { makeContext, type VmContext } from '../../context/vm-context.ts';
import { stepsOf } from '../vm/capability-steps.ts';
import { removeVm } from '../vm/delete-steps.ts';
import { newRecord } from '../vm/record.ts';
import { bringUpSteps } from '../vm/start-steps.ts';
import { takeDownSteps } from '../vm/stop-steps.ts';
import type { ImageContext } from './managed.ts';

/** The VM's root disk becomes the image's, so it must be a whole file. */
const ROOT_FORMAT = 'raw';
/** Only the build uses this VM, so it gets no capability that is for people. */
const CAPABILITIES = ALL_CAPABILITIES.filter(({ traits }) => traits?.forPeople !== true);

/** The build's steps report progress, not the steps of its VM. */
const SILENT = { log: () => undefined, progress: () => undefined };
const nothing = { journal: () => undefined, signal: new AbortController().signal };

/** The request for the VM of a build. */
export type BuilderWish = {
  /** Of the image. */
  name: string;
  /** Of the root file system. */
  rootfsBytes: number;
  /** What the VM gets of the host's trust; default: as for new VMs. */
  trust: HostTrust;
  /** From `storageOfBuilds`. */
  storageDriver: string;
};

/** @returns the storage driver for a build's VM. @throws PREREQUISITE_MISSING, BUNDLE_MISSING if no such VM can run here */
export async function storageOfBuilds({ vms: { drivers } }: Pick<LifecycleServices, 'vms'>): Promise<string> {
  return (await drivers.choose(null, ROOT_FORMAT)).storage.name;
}

/**
 * Reserves the temporary VM of a build. It stays in the state `creating` for its whole life, so a daemon that finds it removes it.
 * @throws PREREQUISITE_MISSING
 */
export function reserveBuilder(services: LifecycleServices, base: Image, wish: BuilderWish): Vm {
  const { name, rootfsBytes, trust, storageDriver } = wish;
  const { defaultSpec } = services.settings;
  const wanted = `build-${name}`.slice(0, LIMITS.nameLength.max - 9);
  const made = newRecord(services, {
    name: (one) => (services.vms.records.findByName(wanted) === undefined ? wanted : `${wanted}-${shortId(one)}`),
    image: base,
    spec: {
      ...defaultSpec,
      rootOverlayBytes: rootfsBytes,
      workDiskBytes: Math.max(defaultSpec.workDiskBytes, base.workSeedBytes),
      nat: true,
      ...trustOf(trust, defaultSpec),
    },
  });
  const vm = { ...made, runtime: { bootId: services.world.processes.bootId(), storageDriver } };
  services.vms.records.insert(vm);
  return vm;
}

/** What the steps of a build share about its VM; made when they begin. */
export type Builder = { vm: Vm; context: VmContext };

export function makeBuilder(services: LifecycleServices, vm: Vm, base: Image): Builder {
  return { vm, context: makeContext(services, vm, SILENT, base) };
}

/** All steps from a record to a guest that answers. The undo of the first step removes everything that they made. */
export function builderSteps(builder: () => Builder): Step<ImageContext>[] {
  const owner: Step<ImageContext> = {
    name: 'builder',
    title: 'temporary VM',
    async apply({ services }) {
      const { paths } = builder().context;
      await services.world.files.makePrivateDirectory(paths.directory);
      await services.world.files.makePrivateDirectory(paths.logDirectory);
    },
    undo: () => removeBuilder(builder()),
  };
  const made = [...stepsOf(CAPABILITIES, 'prepare'), ...bringUpSteps({ waitForServices: false }, CAPABILITIES)];
  return [owner, ...made.map((step) => onBuilder(step, builder))];
}

function onBuilder(step: Step<VmContext>, builder: () => Builder): Step<ImageContext> {
  const { name, title, isDone } = step;
  return {
    ...{ name, title, apply: (_image, signal) => step.apply(builder().context, signal) },
    ...(isDone === undefined ? {} : { isDone: () => isDone(builder().context) }),
  };
}

/** The image must not keep what only the build needed to reach the outside. */
export function untrustStep(builder: () => Builder): Step<ImageContext> {
  return {
    name: 'untrust',
    title: "end of the host's trust",
    isDone: () => !isTrusting(builder().vm.spec),
    apply: (_image, signal) => takeTrustBack(builder().context, signal),
  };
}

/** Lets the guest shut down by itself, so that its file systems are consistent. @throws TIMEOUT if it does not */
export function powerOffStep(builder: () => Builder): Step<ImageContext> {
  return {
    name: 'poweroff',
    title: 'guest shut-down',
    async apply({ services }, signal) {
      const { vm, context } = builder();
      const { machine, agent } = services.vms.machines.get(vm);
      const graceMs = services.settings.bootTimeoutMs;
      await agent.poweroff({ reboot: false }, { signal });
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), graceMs)));
      const ended = await Promise.race([machine.exited.then(() => true), late]).finally(() => clearTimeout(timer));
      if (!ended) throw new BangerError('TIMEOUT', `the build's guest did not shut down within ${graceMs / 1000} s`);
      await runAll({ ...nothing, steps: takeDownSteps({ ask: false }), context });
    },
  };
}

/** Works in every state, and also if the VM is gone. */
export async function removeBuilder({ vm, context }: Builder): Promise<void> {
  if (context.services.vms.records.find(vm.id) === undefined) return;
  await removeVm({ ...nothing, context });
}
