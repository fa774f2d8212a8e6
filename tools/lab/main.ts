// `make lab`: runs the tests of test/lab in a machine of their own, where they may be root on an ordinary Debian.
//   node tools/lab/main.ts test [PATH…]      node tools/lab/main.ts shell      LAB_COMMAND=… node tools/lab/main.ts command
import { copyFileSync, existsSync, globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { realHost } from '../../src/host/host.ts';
import { CommandFailure } from '../../src/host/spawn.ts';
import { createStepCache } from '../../src/images/bundle/step-cache.ts';
import { PROGRAMS_INSIDE, ROOT, bundleDisk, modulesDisk, quoted, writeCheckout } from './disks.ts';
import type { LabJob } from './disks.ts';
import { labImage } from './image.ts';
import { countTests, endOfRun } from './job-output.ts';
import { withLock } from './lock.ts';
import { ARTIFACTS, CONSOLE_LOG, type MachineDisks, runMachine } from './machine.ts';

const NODE = 'node_modules/.bin/node --no-function-context-cells';
const TEST = `${NODE} --test --test-concurrency=1 --test-timeout=600000`;
const LIMIT_MS = 1000 * Number(process.env['LAB_LIMIT_SECONDS'] ?? 1500);
/** Names of the environment that are handed in as they are. */
const PASSED_NAMES = /^(BANGER_LAB_.*|NODE_DEBUG)$/;
/** Programs that the environment names and that are copied in. */
const PROGRAM_NAMES = ['BANGER_FIRECRACKER', 'BANGER_JAILER'];

process.exitCode = await main(process.argv.slice(2));

async function main([verb = 'test', ...words]: string[]): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-lab-'));
  try {
    const disks = await prepareDisks(directory);
    const job = jobOf(verb, words);
    await writeCheckout(disks.checkout, job);
    return await runJob(disks, directory, verb === 'shell');
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    console.error(`lab: ${error.message}\n${error.outcome.stderr}`);
    return 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function prepareDisks(directory: string): Promise<MachineDisks> {
  const cacheDirectory = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'banger', 'lab');
  await mkdir(cacheDirectory, { recursive: true });
  const cache = createStepCache({
    cacheDirectory,
    host: realHost,
    signal: new AbortController().signal,
    force: false,
    onStage: ({ name, state, durationMs }) => {
      if (state === 'started') console.log(`lab: making ${name}`);
      if (state === 'finished') console.log(`lab: made ${name} in ${(durationMs / 1000).toFixed(1)} s`);
    },
  });
  const bundle = process.env['BANGER_BUNDLE'] ?? join(ROOT, 'runtime');
  if (!existsSync(join(bundle, 'bundle.json'))) throw new Error(`there is no runtime bundle in ${bundle}: make bundle, or set BANGER_BUNDLE`);
  // Two labs may run at once; the second waits for what the first one makes.
  return withLock(join(cacheDirectory, 'lock'), async () => ({
    image: await labImage(cache, () => undefined),
    modules: await modulesDisk(cache),
    bundle: await bundleDisk(cache, bundle),
    checkout: join(directory, 'checkout.tar'),
  }));
}

function jobOf(verb: string, words: readonly string[]): LabJob {
  const programs: Record<string, string> = {};
  const environment: Record<string, string> = { BANGER_LAB: '1', BANGER_BUNDLE: '/srv/bundle' };
  for (const [name, value] of Object.entries(process.env)) if (PASSED_NAMES.test(name) && value !== undefined) environment[name] = value;
  for (const name of PROGRAM_NAMES) {
    const path = process.env[name];
    if (path === undefined || path === '') continue;
    programs[basename(path)] = path;
    environment[name] = `${PROGRAMS_INSIDE}/${basename(path)}`;
  }
  return { script: scriptOf(verb, words), environment, programs };
}

function scriptOf(verb: string, words: readonly string[]): string {
  if (verb === 'shell') return 'as_root setsid --ctty --wait bash -il </dev/hvc0 >/dev/hvc0 2>&1\n';
  if (verb === 'command') return `as_root bash -c ${quoted(process.env['LAB_COMMAND'] ?? '')}; note $?\n`;
  const files = testFiles(words);
  const isUsers = (path: string): boolean => path.startsWith('test/lab/user/');
  const run = (user: string, paths: readonly string[]): string =>
    paths.length === 0 ? '' : `as_${user} ${TEST} ${paths.map(quoted).join(' ')}; end_run $?\n`;
  return run('root', files.filter((path) => !isUsers(path))) + run('dev', files.filter(isUsers));
}

/** @returns test files relative to the checkout: all of the lab, or those that the words name, folders with all below. */
function testFiles(words: readonly string[]): string[] {
  const below = (folder: string): string[] => globSync(`${folder}/**/*.test.ts`, { cwd: ROOT }).toSorted();
  if (words.length === 0) return below('test/lab');
  return words.flatMap((word) => {
    const path = relative(ROOT, resolve(word));
    return statSync(join(ROOT, path)).isDirectory() ? below(path) : [path];
  });
}

async function runJob(disks: MachineDisks, directory: string, interactive: boolean): Promise<number> {
  const begin = performance.now();
  let output = '';
  const onOutput = (text: string): void => {
    output += text;
    process.stdout.write(text);
  };
  const outcome = await runMachine({ disks, directory, interactive, limitMs: LIMIT_MS, onOutput });
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  const status = outcome.status ?? 1;
  if (outcome.status === undefined) {
    const how = outcome.timedOut ? `was not done after ${LIMIT_MS / 1000} s` : 'ended without a word';
    console.error(`lab: the machine ${how}; its console said:\n${await readFile(join(directory, CONSOLE_LOG), 'utf8')}`);
  }
  keepArtifacts(directory);
  const counts = countTests(output);
  if (output.includes(endOfRun)) console.log(`# pass ${counts.pass}\n# fail ${counts.fail}\n# skipped ${counts.skipped}`);
  console.log(`lab: ${status === 0 ? 'ok' : `failed with status ${status}`} after ${seconds} s`);
  return status;
}

function keepArtifacts(directory: string): void {
  const source = join(directory, ARTIFACTS);
  if (!existsSync(source) || statSync(source).size === 0) return;
  const kept = `${directory}-logs.tar.gz`;
  copyFileSync(source, kept);
  console.error(`lab: logs of the machine are in ${kept}`);
}
