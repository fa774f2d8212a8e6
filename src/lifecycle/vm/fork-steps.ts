// The steps of a fork. The new VMs are made together: each step is done for all of them, and undone for all of them.
import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { Step } from '../../context/pipeline.ts';
import type { VmContext } from '../../context/vm-context.ts';
import { given } from '../../lib/given.ts';
import { stepsOf } from './capability-steps.ts';
import { record } from './record.ts';
import { goOnAsAnother } from './identity.ts';
import { discardWithdrawn, stagingOf } from './snapshot.ts';
import { announce, machineUp } from './start-steps.ts';
import { assertEnded, endVmm, machineSpec } from './vmm.ts';

/** A running VM, and the VMs that begin as it is. */
export type Fork = { source: VmContext; copies: readonly VmContext[] };

type CopyStep = Omit<Step<VmContext>, 'apply'> & {
  apply(copy: VmContext, signal: AbortSignal, source: VmContext): void | Promise<void>;
};

/** From records to VMs that run; the source only gives its memory and its disks. */
export function forkSteps(): Step<Fork>[] {
  const after = ALL_CAPABILITIES.filter(({ traits }) => traits?.waitsForGuest !== true);
  return [
    ...[record, takeDrivers, ...prepareSteps(), ...stepsOf(ALL_CAPABILITIES, 'beforeStart')].map(forEachCopy),
    fork,
    ...[goOn, ...stepsOf(after, 'afterStart'), announce].map(forEachCopy),
  ];
}

function forEachCopy({ name, title, isDone, apply, undo }: CopyStep): Step<Fork> {
  return {
    name,
    title,
    async apply({ source, copies }, signal) {
      for (const copy of copies) if ((await isDone?.(copy)) !== true) await apply(copy, signal, source);
    },
    async undo({ copies }, signal) {
      const failures: unknown[] = [];
      for (const copy of copies.toReversed()) {
        try {
          await undo?.(copy, signal);
        } catch (error) {
          failures.push(error);
        }
      }
      for (const failure of failures) throw failure;
    },
  };
}

/** Memory of one VMM is nothing for another, nor is a network card of another kind. */
const takeDrivers: CopyStep = {
  name: 'claim',
  title: 'runtime directory',
  async apply(copy, _signal, source) {
    const { hypervisor, networkDriver, storageDriver, hasSshServer } = source.vm.runtime ?? {};
    const bootId = copy.services.world.processes.bootId();
    copy.update({ runtime: { bootId, ...given({ hypervisor, networkDriver, storageDriver, hasSshServer }) } });
    await copy.services.world.files.makePrivateDirectory(copy.paths.runtimeDirectory);
  },
  async undo(copy) {
    assertEnded(copy);
    await copy.services.world.files.removeTree(copy.paths.runtimeDirectory);
  },
};

function prepareSteps(): CopyStep[] {
  return ALL_CAPABILITIES.flatMap(({ prepare, prepareFork }) => {
    if (prepare === undefined) return [];
    return prepareFork === undefined ? prepare : { ...prepare, apply: (copy, signal, source) => prepareFork(copy, source, signal) };
  });
}

/** The source stands still once: each further machine is made of the one before it, which does so already. */
const fork: Step<Fork> = {
  name: 'fork',
  title: 'memory and disks',
  async apply({ source, copies }, signal) {
    const { files } = source.services.world;
    let { machine } = source.services.vms.machines.get(source.vm);
    for (const copy of copies) {
      const staging = stagingOf(copy);
      await files.makePrivateDirectory(staging);
      machine = (await machine.fork?.(machineSpec(copy), staging, signal)) ?? machine;
      machineUp(copy, machine);
      await files.removeTree(staging);
    }
    // What the guest has flushed must be as safe as on the disks that it flushed it to.
    for (const { paths } of copies) for (const disk of [paths.rootOverlay, paths.workDisk]) await files.sync(disk);
  },
  async undo({ copies }) {
    for (const copy of copies) {
      await endVmm(copy);
      await discardWithdrawn(copy);
    }
  },
};

const goOn: CopyStep = {
  name: 'agent',
  title: 'agent',
  apply: (copy, signal) => goOnAsAnother(copy, { signal, timeoutMs: copy.services.settings.bootTimeoutMs }),
};
