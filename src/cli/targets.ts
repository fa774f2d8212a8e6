import type { VmVerb, VmVerbBody } from '../client/api.ts';
import type { VmView } from '../api/schemas.ts';
import { BangerError } from '../model/errors.ts';
import { among, type Known, resolveReference } from '../model/reference.ts';
import type { Cli } from './cli.ts';
import type { OperationEnd } from '../client/operations.ts';
import { showOperation, watchOperation } from './operations.ts';
import { exitCodeOf, reportError } from './render/error.ts';
import type { ProgressMode } from './render/stages.ts';
import { tellStarted } from './render/started.ts';
import { soleVm } from './sole-vm.ts';
import { parseFilters } from './vm-filter.ts';

/** The names under which users know a VM. */
type Named = { id: string; name: string };
type Noun = 'VM' | 'image';

export type Target<V extends Named = VmView> = { ref: string; vm: V } | { ref: string; error: BangerError };

/**
 * Resolves references to VMs or images against one list. A target that is named twice comes once, at its first place.
 * first.
 */
export function resolveTargets<V extends Named>(references: readonly string[], vms: readonly V[], noun: Noun = 'VM'): Target<V>[] {
  const targets: Target<V>[] = [];
  const known = among(vms);
  const seen = new Set<string>();
  for (const ref of new Set(references)) {
    const target = resolveTarget(ref, known, noun);
    if ('vm' in target && seen.has(target.vm.id)) continue;
    if ('vm' in target) seen.add(target.vm.id);
    targets.push(target);
  }
  return targets;
}

function resolveTarget<V extends Named>(ref: string, known: Known<V>, noun: Noun): Target<V> {
  try {
    return { ref, vm: resolveReference(noun, known, ref) };
  } catch (error) {
    if (error instanceof BangerError) return { ref, error };
    throw error;
  }
}

/** How the user chooses VMs, beside names or instead of them. */
export type Choice = {
  all?: boolean | undefined;
  filter?: string[] | undefined;
  /** Whether the only VM needs no name. */
  sole?: boolean | undefined;
};

/**
 * @returns the VMs of a command: the named ones; with `--all` all of them; with only `--filter` those that match; with names and a filter,
 * the named ones that match
 * @throws USAGE if the user chooses nothing at all, or both names and --all
 */
export async function chooseTargets(
  cli: Cli,
  references: readonly string[],
  { all = false, filter, sole = false }: Choice,
): Promise<Target[]> {
  const matches = parseFilters(filter ?? []);
  const isUnnamed = !all && references.length === 0 && filter === undefined;
  if (isUnnamed ? !sole : all && references.length > 0) {
    throw new BangerError('USAGE', all ? 'give either --all or names' : 'no VM given', {
      remedy: 'name VMs, or give --all or --filter',
    });
  }
  const vms = await cli.api().listVms();
  if (isUnnamed) return [soleVm(cli, vms)].map((vm) => ({ ref: vm.name, vm }));
  const chosen = references.length === 0 ? vms.map((vm) => ({ ref: vm.name, vm })) : resolveTargets(references, vms);
  // A wrong name is an error, whatever the filter says.
  return chosen.filter((target) => 'error' in target || matches(target.vm));
}

/** Verbs of which only the result matters. */
const TAKES_DOWN: ReadonlySet<VmVerb> = new Set(['stop', 'pause', 'suspend', 'kill', 'delete']);

export type VerbOptions<Verb extends VmVerb> = {
  progress: ProgressMode;
  body?: VmVerbBody[Verb];
  /** Asks a person about a failure, of one VM after the other. @returns what to try instead, if they want anything else */
  instead?: (vm: VmView, error: unknown) => Promise<VmVerbBody[Verb] | undefined>;
};

/**
 * Applies a verb to several VMs at once. Names of the successes go to stdout, errors to stderr, both in the order of the command line. A
 * failure does not stop the others.
 */
export async function runVerb<Verb extends VmVerb>(
  cli: Cli,
  targets: readonly Target[],
  verb: Verb,
  options: VerbOptions<Verb>,
): Promise<void> {
  const api = cli.api();
  // Stages of several VMs at once would only interleave.
  const single = targets.length === 1;
  const progress = options.progress === 'auto' && TAKES_DOWN.has(verb) ? 'brief' : options.progress;
  // Taking a VM down cannot be undone, so Ctrl-C can only leave it to the daemon.
  const isUndone = single && (verb === 'start' || verb === 'resume');
  const apply = (vm: VmView, body = options.body): Promise<OperationEnd> => {
    const begin = () => api.beginVm(vm.id, verb, body);
    return isUndone ? showOperation(cli, begin, progress) : watchOperation(cli, begin, single ? progress : 'none');
  };
  let asked: Promise<unknown> = Promise.resolve();
  const again = async (vm: VmView, error: unknown): Promise<OperationEnd> => {
    const turn = asked.then(() => options.instead?.(vm, error));
    asked = turn.catch(() => undefined);
    const body = await turn;
    if (body === undefined) throw error;
    return apply(vm, body);
  };
  const outcomes = targets.map(async (target) => {
    if ('error' in target) throw target.error;
    const { vm } = target;
    const end = await apply(vm).catch((error: unknown) => again(vm, error));
    tellStarted(cli, end.vm);
    return vm.name;
  });
  await reportInOrder(cli, outcomes, (name) => cli.print(name));
}

/** Reports results in order, each as soon as all earlier ones are reported; sets the exit code by the failures. */
export async function reportInOrder<T>(cli: Cli, outcomes: readonly Promise<T>[], tell: (value: T) => void): Promise<void> {
  const settled = outcomes.map((outcome) =>
    outcome.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    ),
  );
  const codes = new Set<number>();
  for (const outcome of settled) {
    const result = await outcome;
    if ('value' in result) tell(result.value);
    else {
      reportError(cli, result.error);
      codes.add(exitCodeOf(result.error));
    }
  }
  const [first] = codes;
  if (first !== undefined) cli.exitCode = codes.size === 1 ? first : 1;
}
