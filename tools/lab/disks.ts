// The disks of the lab: the checkout, its npm packages, the runtime bundle. Block devices, because each file over 9p costs an emulated CPU
// a round trip; content that seldom changes is written once.
import { copyFile, mkdir, readFile, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { realHost } from '../../src/host/host.ts';
import { hashOf } from '../../src/images/bundle/build-inputs.ts';
import type { BuildStep, StepCache } from '../../src/images/bundle/step-cache.ts';
import { type LabJob, quoted } from './job.ts';

const KEPT_MS = 24 * 3_600_000;

/** @returns the path of an ext4 with the npm packages of the checkout */
export async function modulesDisk(cache: StepCache, root: string): Promise<string> {
  const lock = await readFile(join(root, 'package-lock.json'), 'utf8');
  return diskOf(cache, 'modules', hashOf(lock), join(root, 'node_modules'));
}

/** @returns the path of an ext4 with the runtime bundle */
export async function bundleDisk(cache: StepCache, bundle: string): Promise<string> {
  return diskOf(cache, 'runtime', hashOf(await readFile(join(bundle, 'bundle.json'), 'utf8')), bundle);
}

async function diskOf(cache: StepCache, name: string, key: string, content: string): Promise<string> {
  const step: BuildStep = {
    name,
    key,
    // No outputs are declared: hashing a sparse file would take longer than making it.
    outputs: [],
    apply: async (directory) => {
      const options = ['-t', 'ext4', '-F', '-b', '4096', '-m', '0', '-E', 'lazy_itable_init=1,lazy_journal_init=1'];
      const argv = ['mke2fs', '-q', ...options, '-d', `${resolve(content)}/`, join(directory, 'disk.ext4'), '3G'];
      await realHost.run(argv, { timeoutMs: 300_000 });
    },
  };
  const { directory } = await cache.run(step);
  return join(directory, 'disk.ext4');
}

/** Writes the checkout of `root`, with uncommitted files, and the job as a tar: unpacking one takes a second even under emulation. */
export async function writeCheckout(root: string, path: string, job: LabJob): Promise<void> {
  const staging = join(dirname(path), 'staging');
  await mkdir(join(staging, '.lab/bin'), { recursive: true });
  await writeFile(join(staging, '.lab/job'), job.script);
  const environment = Object.entries(job.environment).map(([name, value]) => `${name}=${quoted(value)}\n`);
  await writeFile(join(staging, '.lab/environment'), environment.join(''));
  for (const [name, source] of Object.entries(job.programs)) await copyFile(source, join(staging, '.lab/bin', name));
  const left = ['./node_modules', './runtime', './.git', './.lab'].map((name) => `--exclude=${name}`);
  // The ids of `dev` in the lab.
  const owner = ['--owner=dev:1000', '--group=dev:1000'];
  await realHost.run(['tar', '-c', ...owner, '--anchored', ...left, '-f', path, '-C', root, '.']);
  await realHost.run(['tar', '-r', ...owner, '-f', path, '-C', staging, '.lab']);
}

/** Removes disks that no lab has used for a day. @param used directories of this lab */
export async function forgetUnused(cacheDirectory: string, used: readonly string[]): Promise<void> {
  const now = new Date();
  for (const directory of used) await utimes(directory, now, now);
  for (const entry of await readdir(cacheDirectory, { withFileTypes: true })) {
    const path = join(cacheDirectory, entry.name);
    if (entry.isDirectory() && now.getTime() - (await stat(path)).mtimeMs > KEPT_MS) await realHost.removeTree(path);
  }
}
