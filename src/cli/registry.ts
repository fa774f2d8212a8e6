// Every command by its words. A module is loaded only if its words are in argv, so a quick command never pays for the rest.
import type { Cli } from './cli.ts';
import type { AnyCommand, CommandTree } from './command.ts';

type Declaration = { declareCommand: (cli: Cli, tree: CommandTree) => unknown };

export type Verb = { names: readonly [string, ...string[]]; load: () => Promise<Declaration> };
export type Group = { description: string; hidden?: boolean; verbs: readonly Verb[] };

/** Loads a verb's declaration and adds its aliases. @param tree for the command that completes others */
export async function loadVerb(cli: Cli, verb: Verb, tree: CommandTree): Promise<AnyCommand> {
  const command = (await verb.load()).declareCommand(cli, tree) as AnyCommand;
  return command.aliases(verb.names.slice(1));
}

const verb = (names: readonly [string, ...string[]], load: Verb['load']): Verb => ({ names, load });

const VM_VERBS: readonly Verb[] = [
  verb(['create'], () => import('./commands/vm/create.ts')),
  verb(['list', 'ls', 'ps'], () => import('./commands/vm/list.ts')),
  verb(['show', 'inspect'], () => import('./commands/vm/show.ts')),
  verb(['start'], () => import('./commands/vm/start.ts')),
  verb(['stop'], () => import('./commands/vm/stop.ts')),
  verb(['pause'], () => import('./commands/vm/pause.ts')),
  verb(['suspend'], () => import('./commands/vm/suspend.ts')),
  verb(['resume', 'unpause'], () => import('./commands/vm/resume.ts')),
  verb(['keep-awake'], () => import('./commands/vm/keep-awake.ts')),
  verb(['fork'], () => import('./commands/vm/fork.ts')),
  verb(['restart'], () => import('./commands/vm/restart.ts')),
  verb(['kill'], () => import('./commands/vm/kill.ts')),
  verb(['delete', 'rm', 'remove'], () => import('./commands/vm/delete.ts')),
  verb(['set'], () => import('./commands/vm/set.ts')),
  verb(['ssh', 'shell'], () => import('./commands/vm/ssh.ts')),
  verb(['exec'], () => import('./commands/vm/exec.ts')),
  verb(['cp', 'copy'], () => import('./commands/vm/cp.ts')),
  verb(['logs'], () => import('./commands/vm/logs.ts')),
  verb(['stats'], () => import('./commands/vm/stats.ts')),
  verb(['wait'], () => import('./commands/vm/wait.ts')),
  verb(['health'], () => import('./commands/vm/health.ts')),
  verb(['ports'], () => import('./commands/vm/ports.ts')),
  verb(['forward'], () => import('./commands/vm/forward.ts')),
];

const IMAGE_VERBS: readonly Verb[] = [
  verb(['list', 'ls'], () => import('./commands/image/list.ts')),
  verb(['show', 'inspect'], () => import('./commands/image/show.ts')),
  verb(['build'], () => import('./commands/image/build.ts')),
  verb(['import'], () => import('./commands/image/import.ts')),
  verb(['register'], () => import('./commands/image/register.ts')),
  verb(['promote'], () => import('./commands/image/promote.ts')),
  verb(['delete', 'rm', 'remove'], () => import('./commands/image/delete.ts')),
  verb(['warm'], () => import('./commands/image/warm.ts')),
  verb(['prune'], () => import('./commands/image/prune.ts')),
];

export const GROUPS: Readonly<Record<string, Group>> = {
  vm: { description: 'virtual machines', verbs: VM_VERBS },
  image: { description: 'what virtual machines boot from', verbs: IMAGE_VERBS },
  template: {
    description: 'machines at rest, from which virtual machines are made without a boot',
    verbs: [
      verb(['list', 'ls'], () => import('./commands/template/list.ts')),
      verb(['delete', 'rm', 'remove'], () => import('./commands/template/delete.ts')),
    ],
  },
  bundle: {
    description: 'the runtime bundle: kernel, root file system, guest agent',
    verbs: [
      verb(['build'], () => import('./commands/bundle/build.ts')),
      verb(['fetch'], () => import('./commands/bundle/fetch.ts')),
      verb(['package'], () => import('./commands/bundle/package.ts')),
      verb(['status'], () => import('./commands/bundle/status.ts')),
    ],
  },
  operation: {
    description: 'long-running work of the daemon',
    verbs: [
      verb(['list', 'ls'], () => import('./commands/operation/list.ts')),
      verb(['show', 'inspect'], () => import('./commands/operation/show.ts')),
      verb(['watch'], () => import('./commands/operation/watch.ts')),
      verb(['cancel'], () => import('./commands/operation/cancel.ts')),
    ],
  },
  daemon: {
    description: 'the daemon bangerd',
    verbs: [
      verb(['start'], () => import('./commands/daemon/start.ts')),
      verb(['stop'], () => import('./commands/daemon/stop.ts')),
      verb(['restart'], () => import('./commands/daemon/restart.ts')),
      verb(['status'], () => import('./commands/daemon/status.ts')),
      verb(['logs'], () => import('./commands/daemon/logs.ts')),
      verb(['prepare-shutdown'], () => import('./commands/daemon/prepare-shutdown.ts')),
    ],
  },
  context: {
    description: "which daemon commands talk to: this machine's, or another's over ssh",
    verbs: [
      verb(['list', 'ls'], () => import('./commands/context/list.ts')),
      verb(['add'], () => import('./commands/context/add.ts')),
      verb(['use'], () => import('./commands/context/use.ts')),
      verb(['show', 'inspect'], () => import('./commands/context/show.ts')),
      verb(['remove', 'rm', 'delete'], () => import('./commands/context/remove.ts')),
    ],
  },
  dns: {
    description: 'names under .vm',
    verbs: [
      verb(['status'], () => import('./commands/dns/status.ts')),
      verb(['setup'], () => import('./commands/dns/setup.ts')),
      verb(['remove', 'rm'], () => import('./commands/dns/remove.ts')),
    ],
  },
  internal: {
    description: 'used by banger itself and by scripts',
    hidden: true,
    verbs: [
      verb(['ssh-proxy'], () => import('./commands/internal/ssh-proxy.ts')),
      verb(['dial-stdio'], () => import('./commands/internal/dial-stdio.ts')),
      verb(['nat'], () => import('./commands/internal/nat.ts')),
      verb(['complete'], () => import('./commands/internal/complete.ts')),
    ],
  },
};

/** Commands without a group. */
export const TOP_VERBS: readonly Verb[] = [
  verb(['doctor'], () => import('./commands/host/doctor.ts')),
  verb(['setup'], () => import('./commands/host/setup.ts')),
  verb(['ssh-config'], () => import('./commands/host/ssh-config.ts')),
  verb(['version'], () => import('./commands/host/version.ts')),
  verb(['completion'], () => import('./commands/host/completion.ts')),
];

/** Commands of other nouns that are one word in other tools. */
const OTHER_SHORTCUTS: Readonly<Record<string, readonly string[]>> = { images: ['image', 'list'] };

/** Words that may stand without a noun: every verb of `vm`, by each of its names, and a few more. */
export const SHORTCUTS: readonly string[] = [...VM_VERBS.flatMap(({ names }) => names), ...Object.keys(OTHER_SHORTCUTS)];

/** @returns the full words of a shortcut */
export function shortcutOf(word: string): readonly string[] | undefined {
  if (Object.hasOwn(OTHER_SHORTCUTS, word)) return OTHER_SHORTCUTS[word];
  return SHORTCUTS.includes(word) ? ['vm', word] : undefined;
}
