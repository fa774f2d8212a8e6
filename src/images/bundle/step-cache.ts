import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { given } from '../../lib/given.ts';

/** Facts about a file that a step made. */
export type StepOutput = { path: string; sizeBytes: number; sha256: string };
/** A finished step: its directory and its declared files. */
export type StepResult = { directory: string; outputs: Record<string, StepOutput> };

export type BuildStep = {
  /** Also the beginning of its directory's name: letters and dashes. */
  name: string;
  /** Hash of everything on which the result depends: the same key means the same result. */
  key: string;
  /** Files that the step promises to make in its directory. */
  outputs: readonly string[];
  /** Makes them below `directory`, which is empty, and is removed after a failure. */
  apply: (directory: string) => Promise<void>;
};

export type StageEvent = { name: string; state: 'started' | 'kept' | 'finished'; durationMs: number };

export type StepCacheOptions = {
  cacheDirectory: string;
  host: Host;
  signal: AbortSignal;
  /** Run every step again. */
  force: boolean;
  onStage: (event: StageEvent) => void;
};

export type StepCache = {
  /** @returns the step's result: an earlier one with the same key, or a new one. */
  run: (step: BuildStep) => Promise<StepResult>;
  /** Removes results that neither this build nor a parallel build has used. */
  prune: () => Promise<void>;
};

const SEAL = 'sealed.json';
/** No build takes longer; another build may need what was made or used since then. */
const BUILD_TAKES_MS = 3_600_000;

/**
 * Keeps the result of every finished step in a directory named by its key. A result appears by one rename, so a build that is killed at any
 * moment continues where it was: finished steps exist completely, unfinished ones not at all. Several builds may share the directory.
 */
export function createStepCache(options: StepCacheOptions): StepCache {
  const { cacheDirectory, host, signal, onStage } = options;
  const used = new Set<string>();
  const run = async (step: BuildStep): Promise<StepResult> => {
    throwIfCancelled(signal);
    const name = `${step.name}-${step.key.slice(0, 16)}`;
    const directory = join(cacheDirectory, name);
    used.add(name);
    const startedMs = performance.now();
    const kept = options.force ? undefined : await readSeal(directory, step, host);
    if (kept !== undefined) {
      await utimes(directory, new Date(), new Date());
      onStage({ name: step.name, state: 'kept', durationMs: 0 });
      return { directory, outputs: kept };
    }
    onStage({ name: step.name, state: 'started', durationMs: 0 });
    const outputs = await make(step, directory, options);
    onStage({ name: step.name, state: 'finished', durationMs: Math.round(performance.now() - startedMs) });
    return { directory, outputs };
  };
  const prune = async (): Promise<void> => {
    const oldestMs = Date.now() - BUILD_TAKES_MS;
    for (const name of await readdir(cacheDirectory)) {
      const path = join(cacheDirectory, name);
      // Another build may have removed it meanwhile.
      const found = await stat(path).catch(() => undefined);
      if (!used.has(name) && found !== undefined && found.mtimeMs < oldestMs) await host.removeTree(path);
    }
  };
  return { run, prune };
}

async function make(step: BuildStep, directory: string, options: StepCacheOptions): Promise<StepResult['outputs']> {
  const { host, signal } = options;
  const staging = `${directory}.${randomBytes(4).toString('hex')}.partial`;
  await mkdir(staging, { recursive: true });
  try {
    await step.apply(staging);
    throwIfCancelled(signal);
    const outputs = await seal(step, staging, options);
    await host.removeTree(directory);
    await rename(staging, directory);
    return withDirectory(outputs, directory);
  } catch (error) {
    await host.removeTree(staging);
    throw error;
  }
}

/** Hashes what the step made, so that no later build needs to hash it again. */
async function seal(step: BuildStep, staging: string, { host, signal }: StepCacheOptions): Promise<StepResult['outputs']> {
  const outputs: StepResult['outputs'] = {};
  for (const name of step.outputs) {
    const path = join(staging, name);
    if (!(await host.exists(path))) throw new BangerError('INTERNAL', `The build step ${step.name} did not make ${name}.`);
    outputs[name] = { path: name, sizeBytes: (await host.fileSize(path)).bytes, sha256: await host.sha256File(path, signal) };
  }
  await host.writeFileAtomic(join(staging, SEAL), JSON.stringify(outputs));
  return outputs;
}

/** @returns the outputs of a finished step, or undefined if it must run: it never ran, had other outputs, or is damaged */
async function readSeal(directory: string, step: BuildStep, host: Host): Promise<StepResult['outputs'] | undefined> {
  const text = await host.readIfThere(join(directory, SEAL));
  if (text === undefined) return undefined;
  const outputs = withDirectory(JSON.parse(text) as StepResult['outputs'], directory);
  for (const name of step.outputs) {
    const output = outputs[name];
    if (output === undefined || !(await host.exists(output.path))) return undefined;
    if ((await host.fileSize(output.path)).bytes !== output.sizeBytes) return undefined;
  }
  return outputs;
}

function withDirectory(outputs: StepResult['outputs'], directory: string): StepResult['outputs'] {
  return Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, { ...output, path: join(directory, name) }]));
}

/** @throws BangerError CANCELLED */
export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw buildCancelled();
}

/** @param cause how the cancelled step failed, if it did */
export function buildCancelled(cause?: unknown): BangerError {
  return new BangerError('CANCELLED', 'The build was cancelled; the next one reuses finished steps.', given({ cause }));
}
