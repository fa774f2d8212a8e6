import { type ResolverKind, RESOLVERS, type ServerAddress } from './resolvers.ts';
import type { SetupMachine } from './machine.ts';
import type { SetupStep } from './steps.ts';

const FILE_MODE = 0o644;

/** Makes a resolver ask banger for .vm. It is one step, so that the resolver always reads a new file. */
export function dnsSetupStep(machine: SetupMachine, kind: ResolverKind, server: ServerAddress): SetupStep {
  const { file, content, reload } = RESOLVERS[kind];
  return {
    title: `${file} sends .vm to ${server.address}:${server.port}, and ${reload.join(' ')}`,
    isDone: () => machine.holds(file, Buffer.from(content(server)), FILE_MODE),
    async apply() {
      await machine.write(file, content(server), FILE_MODE);
      await machine.must(reload);
    },
  };
}

/** Undoes it; nothing else of the resolver changes. */
export function dnsRemoveStep(machine: SetupMachine, kind: ResolverKind): SetupStep {
  const { file, reload } = RESOLVERS[kind];
  return {
    title: `${file} is gone, and ${reload.join(' ')}`,
    isDone: async () => !(await machine.exists(file)),
    async apply() {
      await machine.remove(file);
      await machine.must(reload);
    },
  };
}
