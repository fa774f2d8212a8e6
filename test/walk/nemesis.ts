// What happens to the surroundings of real VMs in a soak, and what it cost.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { VmView } from '../../src/api/schemas.ts';
import type { Sandbox } from '../support/machine/sandbox.ts';
import { bundleOfTests, shareBundle } from '../support/images/shared-bundle.ts';
import type { Misfortune } from './plan.ts';

/** Files that fill the disks of a guest. */
export const FULL = ['/root/full', '/var/tmp/full'] as const;
/** Asked of the file system as a whole, which costs the host nothing; what remains of it is then written. */
const FILL = FULL.map(
  (path) => `fallocate -l $(df --output=avail -B1 $(dirname ${path}) | tail -1) ${path}; cat /dev/zero 2>/dev/null | head -c 64M >>${path}`,
).join('; ');

/** Programs without which no VM can be started or joined to a network. */
const DRIVER_PROGRAMS = /^(qemu-|nft$)/;

/** Takes away what a daemon needs, and brings it back. */
export class Nemesis {
  readonly #sandbox: Sandbox;
  readonly #bundle: string;
  readonly #poorPath: string;

  /** @param bundle of this sandbox alone, so that it can be moved */
  constructor(sandbox: Sandbox, bundle: string) {
    this.#sandbox = sandbox;
    this.#bundle = bundle;
    this.#poorPath = join(dirname(bundle), 'programs');
    linkPrograms(sandbox.env['PATH'] ?? '', this.#poorPath);
  }

  /** Before a burst, whose verbs are then the first acts of a fresh daemon. */
  async prepare(misfortune: Misfortune, vms: readonly VmView[]): Promise<void> {
    const { kind } = misfortune;
    if (kind === 'fresh daemon') await this.#sandbox.must(['daemon', 'stop', '--yes']);
    if (kind === 'bundle away') renameSync(this.#bundle, `${this.#bundle}.away`);
    if (kind === 'bundle away') await this.#restart();
    if (kind === 'drivers away') await this.#restart({ PATH: this.#poorPath });
    if (kind !== 'guest disk full') return;
    const isRunning = vms.some(({ name, state }) => name === misfortune.name && state === 'running');
    if (isRunning) await this.#sandbox.banger(['vm', 'exec', misfortune.name, '--', 'sh', '-c', FILL]);
  }

  /** After a burst. The bundle comes back to a daemon that runs, programs to the next one. */
  async makeUp({ kind }: Misfortune): Promise<void> {
    this.relent();
    if (kind === 'drivers away') await this.#restart();
    // Networks are swept when they are there again, some time after; the next daemon does it at once.
    if (kind === 'bundle away') await this.#restart();
  }

  relent(): void {
    if (existsSync(`${this.#bundle}.away`)) renameSync(`${this.#bundle}.away`, this.#bundle);
  }

  async #restart(env: Record<string, string> = {}): Promise<void> {
    await this.#sandbox.must(['daemon', 'restart', '--yes'], { env });
  }
}

/** @returns a bundle of its own, in a directory that `remove` takes away */
export function ownBundle(): { path: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-bundle-'));
  chmodSync(directory, 0o755);
  const path = join(directory, 'bundle');
  const source = bundleOfTests();
  if (source === undefined) throw new Error('there is no runtime bundle: make bundle, or set BANGER_BUNDLE');
  shareBundle(source, path);
  return { path, remove: () => rmSync(directory, { recursive: true }) };
}

/** Makes `directory` hold all programs of a search path but those of drivers. */
function linkPrograms(searchPath: string, directory: string): void {
  mkdirSync(directory, { mode: 0o755 });
  const taken = new Set<string>();
  for (const from of searchPath.split(':').filter((path) => existsSync(path))) {
    for (const name of readdirSync(from)) {
      if (taken.has(name) || DRIVER_PROGRAMS.test(name)) continue;
      taken.add(name);
      symlinkSync(join(from, name), join(directory, name));
    }
  }
}

/** @returns how many recoveries of VMs failed so far, as the daemons wrote it down */
export function failedRecoveries(sandbox: Sandbox): number {
  const files = ['bangerd.log.1', 'bangerd.log'].map((name) => join(sandbox.directory, 'state', name)).filter((path) => existsSync(path));
  return files.flatMap((path) => readFileSync(path, 'utf8').split('"a VM could not be recovered"').slice(1)).length;
}

/** What a walk cost. It goes on after a loss, so that all of it is seen. */
export class Toll {
  readonly #counts = { lost: 0, leaked: 0 };
  failedRecoveries = 0;

  get isClear(): boolean {
    return this.#counts.lost + this.#counts.leaked + this.failedRecoveries === 0;
  }

  get text(): string {
    return `${this.#counts.lost} lost, ${this.#counts.leaked} leaked, ${this.failedRecoveries} failed recoveries`;
  }

  /** Counts a check that fails. */
  async take(kind: 'lost' | 'leaked', check: () => unknown, what = 'at the end'): Promise<void> {
    try {
      await check();
    } catch (error) {
      this.#counts[kind]++;
      console.error(`soak: ${kind}, ${what}:`, error instanceof Error ? error.message : error);
    }
  }
}
