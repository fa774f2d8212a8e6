// What is handed to the lab as disks: the checkout, its node_modules, the runtime bundle. Measured under emulation: Node loads the
// tests from an ext4 several times faster than over 9p, and writing the file systems costs seconds, once per content.
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { realHost } from '../../src/host/host.ts';
import { hashOf } from '../../src/images/bundle/build-inputs.ts';
import type { BuildStep, StepCache } from '../../src/images/bundle/step-cache.ts';

export const ROOT = resolve(import.meta.dirname, '../..');

/** @returns the path of an ext4 with the npm packages of the checkout. */
export async function modulesDisk(cache: StepCache): Promise<string> {
  const lock = await readFile(join(ROOT, 'package-lock.json'), 'utf8');
  const built = await cache.run(diskStep('modules', hashOf(lock), join(ROOT, 'node_modules')));
  return join(built.directory, 'disk.ext4');
}

/** @returns the path of an ext4 with the runtime bundle. */
export async function bundleDisk(cache: StepCache, bundle: string): Promise<string> {
  const built = await cache.run(diskStep('runtime', hashOf(await readFile(join(bundle, 'bundle.json'), 'utf8')), bundle));
  return join(built.directory, 'disk.ext4');
}

function diskStep(name: string, key: string, content: string): BuildStep {
  return {
    name,
    key,
    outputs: [],
    apply: async (directory) => {
      const file = join(directory, 'disk.ext4');
      const options = ['-t', 'ext4', '-F', '-b', '4096', '-m', '0', '-E', 'lazy_itable_init=1,lazy_journal_init=1'];
      await realHost.run(['mke2fs', '-q', ...options, '-d', `${resolve(content)}/`, file, '3G'], { timeoutMs: 300_000 });
    },
  };
}

/** What runs inside: a shell script in terms of tools/lab/image/run-job, its environment, and programs that are not in the checkout. */
export type LabJob = { script: string; environment: Record<string, string>; programs: Record<string, string> };

/** Where the lab has the programs of a job. */
export const PROGRAMS_INSIDE = '/srv/banger/.lab/bin';

/** Writes the checkout, as it lies there, and the job as a tar: unpacking one takes a second even under emulation. */
export async function writeCheckout(path: string, job: LabJob): Promise<void> {
  const staging = join(dirname(path), 'staging');
  await mkdir(join(staging, '.lab/bin'), { recursive: true });
  await writeFile(join(staging, '.lab/job'), job.script);
  const environment = Object.entries(job.environment).map(([name, value]) => `${name}=${quoted(value)}\n`);
  await writeFile(join(staging, '.lab/environment'), environment.join(''));
  for (const [name, source] of Object.entries(job.programs)) await copyFile(source, join(staging, '.lab/bin', name));
  const left = ['./node_modules', './runtime', './.git', './.lab'].map((name) => `--exclude=${name}`);
  const owner = ['--owner=dev:1000', '--group=dev:1000'];
  await realHost.run(['tar', '-c', ...owner, '--anchored', ...left, '-f', path, '-C', ROOT, '.']);
  await realHost.run(['tar', '-r', ...owner, '-f', path, '-C', staging, '.lab']);
}

/** @returns the word as a POSIX shell reads it back unchanged. */
export function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
