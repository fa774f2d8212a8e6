// `make lab`: runs the tests of test/lab in a machine of their own, where they may be root on an ordinary Debian. CONTRIBUTING.md tells how.
//   node tools/lab/main.ts test [PATH…]      node tools/lab/main.ts shell      LAB_COMMAND=… node tools/lab/main.ts command
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { realHost } from '../../src/host/host.ts';
import { CommandFailure } from '../../src/host/spawn.ts';
import { createStepCache } from '../../src/images/bundle/step-cache.ts';
import { BangerError } from '../../src/model/errors.ts';
import { bundleOfTests } from '../../test/support/images/shared-bundle.ts';
import { bundleDisk, forgetUnused, modulesDisk, writeCheckout } from './disks.ts';
import { labImage } from './image.ts';
import { type LabVerb, jobOf } from './job.ts';
import { countTests, hasRuns } from './job-output.ts';
import { withLock } from './lock.ts';
import { ARTIFACTS, CONSOLE_LOG, type MachineDisks, RESULTS, runMachine } from './machine.ts';

const ROOT = join(import.meta.dirname, '../..');
/** With Firecracker, its cycles and the e2e tests run, too. */
const LIMIT_MS = 1000 * Number(process.env['LAB_LIMIT_SECONDS'] ?? (process.env['BANGER_FIRECRACKER'] === undefined ? 1800 : 14_400));

async function main(verb: LabVerb, paths: readonly string[], signal: AbortSignal): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-lab-'));
  try {
    const job = jobOf({ verb, paths, environment: process.env, root: ROOT });
    const disks = await prepareDisks(directory, signal);
    await writeCheckout(ROOT, disks.checkout, job);
    return await runJob(disks, directory, { interactive: verb === 'shell', signal });
  } catch (error) {
    if (error instanceof CommandFailure) console.error(`lab: ${error.message}\n${error.outcome.stderr}`);
    else if (error instanceof BangerError) console.error(`lab: ${error.message} ${error.remedy ?? ''}`);
    else throw error;
    return 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @returns all files of the machine; makes those that are not in the user's cache */
async function prepareDisks(directory: string, signal: AbortSignal): Promise<MachineDisks> {
  const bundlePath = bundleOfTests();
  if (bundlePath === undefined) {
    throw new BangerError('PREREQUISITE_MISSING', 'There is no runtime bundle.', { remedy: 'make bundle, or set BANGER_BUNDLE' });
  }
  const cacheDirectory = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'banger', 'lab');
  // Private, because it contains the bundle's key.
  await realHost.makePrivateDirectory(cacheDirectory);
  const cache = createStepCache({
    cacheDirectory,
    host: realHost,
    signal,
    force: false,
    onStage: ({ name, state, durationMs }) => {
      if (state === 'started') console.log(`lab: making ${name}`);
      if (state === 'finished') console.log(`lab: made ${name} in ${(durationMs / 1000).toFixed(1)} s`);
    },
  });
  // Two labs may run at once; the second one waits for the files that the first one makes.
  return withLock(join(cacheDirectory, 'lock'), async () => {
    const image = await labImage(cache, signal);
    const modules = await modulesDisk(cache, ROOT);
    const bundle = await bundleDisk(cache, bundlePath);
    await forgetUnused(cacheDirectory, [...image.directories, dirname(modules), dirname(bundle)]);
    return { image, modules, bundle, checkout: join(directory, 'checkout.tar') };
  });
}

type RunOptions = { interactive: boolean; signal: AbortSignal };

async function runJob(disks: MachineDisks, directory: string, { interactive, signal }: RunOptions): Promise<number> {
  const begin = performance.now();
  let output = '';
  const onOutput = (text: string): void => {
    output += text;
    process.stdout.write(text);
  };
  const outcome = await runMachine({ disks, directory, interactive, limitMs: LIMIT_MS, signal, onOutput });
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  if (outcome.status === undefined) {
    const how = { time: `was not done after ${LIMIT_MS / 1000} s`, signal: 'was ended', itself: 'ended without a word' }[outcome.endedBy];
    const log =
      outcome.endedBy === 'signal'
        ? ''
        : `; its console said:\n${await readFile(join(directory, CONSOLE_LOG), 'utf8').catch(() => 'nothing')}`;
    console.error(`lab: the machine ${how}${log}`);
  }
  const logs = copyIfFilled(join(directory, ARTIFACTS), `${directory}-logs.tar.gz`);
  if (logs !== undefined) console.error(`lab: logs of the machine are in ${logs}`);
  const results = process.env['LAB_RESULTS'];
  if (results !== undefined) copyIfFilled(join(directory, RESULTS), results);
  const status = outcome.status ?? 1;
  const counts = countTests(output);
  // At the end and in this form, so that tools/run-stages.ts counts the tests.
  if (hasRuns(output)) console.log(`# pass ${counts.pass}\n# fail ${counts.fail}\n# skipped ${counts.skipped}`);
  console.log(`lab: ${status === 0 ? 'ok' : `failed with status ${status}`} after ${seconds} s`);
  return status;
}

function copyIfFilled(source: string, target: string): string | undefined {
  if (!existsSync(source) || statSync(source).size === 0) return undefined;
  copyFileSync(source, target);
  return target;
}

const VERBS: readonly string[] = ['test', 'shell', 'command'] satisfies LabVerb[];

if (import.meta.main) {
  const [verb = 'test', ...paths] = process.argv.slice(2);
  const ended = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => ended.abort());
  if (VERBS.includes(verb)) process.exitCode = await main(verb as LabVerb, paths, ended.signal);
  else {
    console.error(`lab: there is no ${verb}; say ${VERBS.join(', ')}`);
    process.exitCode = 2;
  }
}
