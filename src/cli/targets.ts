import type { VmVerb, VmVerbBody } from '../client/api.ts';
import type { VmView } from '../api/schemas.ts';
import { BangerError } from '../model/errors.ts';
import { among, type Known, resolveReference } from '../model/reference.ts';
import type { Cli } from './cli.ts';
import { showOperation, watchOperation } from './operations.ts';
import { exitCodeOf, reportError } from './render/error.ts';
import type { ProgressMode } from './render/stages.ts';
import { tellStarted } from './render/started.ts';
import { soleVm } from './sole-vm.ts';
import { parseFilters } from './vm-filter.ts';

/** What a VM is known by. */
type Named = { id: string; name: string };
type Noun = 'VM' | 'image';

export type Target<V extends Named = VmView> = { ref: string; vm: V } | { ref: string; error: BangerError };

/**
 * Resolves references to VMs, or images, against one list. One that is named twice comes once, where it was named
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

/** Which VMs are meant beside, or instead of, those that are named. */
export type Choice = {
  all?: boolean | undefined;
  filter?: string[] | undefined;
  /** Whether the only VM need not be named. */
  sole?: boolean | undefined;
};

/**
 * @returns the VMs that a command names; with `--all` all of them, with `--filter` alone those that match; with both a name
 *   and a filter, the named ones that match
 * @throws USAGE when it chooses none at all, or both names and --all
 */
export async function chooseTargets(
  cli: Cli,
  references: readonly string[],
  { all = false, filter, sole = false }: Choice,
): Promise<Target[]> {
  const matches = parseFilters(filter ?? []);
  const isUnnamed = !all && references.length === 0 && filter === undefined;
  if (isUnnamed ? !sole : all && references.length > 0) {
    throw new BangerError('USAGE', all ? '--all and names exclude each other' : 'no VM given', {
      remedy: 'name VMs, or give --all or --filter',
    });
  }
  const vms = await cli.api().listVms();
  if (isUnnamed) return [soleVm(cli, vms)].map((vm) => ({ ref: vm.name, vm }));
  const chosen = references.length === 0 ? vms.map((vm) => ({ ref: vm.name, vm })) : resolveTargets(references, vms);
  // A missing name is an error, whatever the filter says.
  return chosen.filter((target) => 'error' in target || matches(target.vm));
}

/** Verbs of which only the result interests. */
const TAKES_DOWN: ReadonlySet<VmVerb> = new Set(['stop', 'kill', 'delete']);

export type VerbOptions<Verb extends VmVerb> = { progress: ProgressMode; body?: VmVerbBody[Verb] };

/**
 * Does a verb to several VMs at once. Names of those that it worked for go to stdout, errors to stderr, both in the
 * order in which they were named; one failure does not keep the others from being tried.
 */
export async function runVerb<Verb extends VmVerb>(
  cli: Cli,
  targets: readonly Target[],
  verb: Verb,
  options: VerbOptions<Verb>,
): Promise<void> {
  const api = cli.api();
  // Stages of several machines at once would only interleave.
  const single = targets.length === 1;
  const progress = options.progress === 'auto' && TAKES_DOWN.has(verb) ? 'brief' : options.progress;
  const outcomes = targets.map(async (target) => {
    if ('error' in target) throw target.error;
    const begin = () => api.beginVm(target.vm.id, verb, options.body);
    // What takes a machine down has no way back, so Ctrl-C can only leave it to the daemon.
    const isUndone = single && verb === 'start';
    const end = isUndone ? await showOperation(cli, begin, progress) : await watchOperation(cli, begin, single ? progress : 'none');
    tellStarted(cli, end.vm);
    return target.vm.name;
  });
  await reportInOrder(cli, outcomes, (name) => cli.print(name));
}

/** Tells outcomes in order, each as soon as all before it are told; sets the exit code to what the failures ask for. */
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
