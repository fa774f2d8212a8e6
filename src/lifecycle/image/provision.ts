import type { ProvisionSources } from '../../images/provision/sources.ts';
import type { ProvisionStep } from '../../model/provisioning.ts';
import { BangerError } from '../../model/errors.ts';
import type { Image } from '../../model/image.ts';
import type { Step } from '../../context/pipeline.ts';
import type { Builder } from './builder-vm.ts';
import { runInGuest, waitForInit } from './guest-run.ts';
import type { ImageContext } from './managed.ts';

/** A build's directory in the guest. It is on disk, because memory is small; cleaning removes it. */
const WORK_DIRECTORY = '/var/tmp/banger-build';
/** The limit for a script of a build, also under emulation. */
const SCRIPT_TIMEOUT_MS = 2 * 3_600_000;
const SHELL = '/bin/sh';
/** Builds share a cache, which one build fills at a time. */
const FETCHING = 'provision cache';

export type ProvisionPlan = {
  base: Image;
  /** Names of packages that the guest must have. */
  packages: readonly string[];
  steps: readonly ProvisionStep[];
  /** The user's own script, which runs after the steps. */
  script: { path: string; text: string } | null;
};

export type Provisioning = { sources: ProvisionSources; builder: () => Builder; log: (line: string) => void };

/** The steps of a build in its guest, in order. */
export function provisionSteps(plan: ProvisionPlan, work: Provisioning): Step<ImageContext>[] {
  const own = plan.script;
  return [
    systemStep(work),
    modulesStep(plan.base, work),
    ...(plan.packages.length === 0 ? [] : [packagesStep(plan, work)]),
    ...plan.steps.map((step) => scriptStep(step, work)),
    ...ownScriptSteps(own, work),
    cleanStep(work),
  ];
}

/** @param own null: the user has none */
export function ownScriptSteps(own: ProvisionPlan['script'], work: Provisioning): Step<ImageContext>[] {
  return own === null ? [] : [scriptStep({ name: 'script', title: own.path, script: own.text, artifacts: [] }, work)];
}

export function cleanStep(work: Provisioning): Step<ImageContext> {
  return {
    name: 'clean',
    title: 'clean up',
    apply: async (context, signal) => runScript(context, work, 'clean', (await work.sources.frame()).clean, {}, signal),
  };
}

export function systemStep(work: Provisioning): Step<ImageContext> {
  return {
    name: 'system',
    title: 'guest system',
    async apply({ services }, signal) {
      const { agent } = services.vms.machines.get(work.builder().vm);
      await waitForInit(agent, signal, services.settings.bootTimeoutMs);
      const argv = [SHELL, '-c', `mkdir -p -m 0700 ${WORK_DIRECTORY}`];
      if ((await runInGuest(agent, { argv, env: {}, onLine: work.log, signal, timeoutMs: 60_000 })) === 0) return;
      throw new BangerError('COMMAND_FAILED', `the guest cannot make ${WORK_DIRECTORY}`);
    },
  };
}

/** An image that was not made for banger's kernel lacks its modules; afterwards it has them. */
function modulesStep({ modulesPath }: Image, work: Provisioning): Step<ImageContext> {
  return {
    name: 'modules',
    title: 'kernel modules',
    async apply({ services }, signal) {
      if (modulesPath === null) return;
      const { agent } = services.vms.machines.get(work.builder().vm);
      const look = { argv: [SHELL, '-c', HAS_MODULES], env: {}, onLine: work.log, signal, timeoutMs: 60_000 };
      if ((await runInGuest(agent, look)) === 0) return;
      const argv = [SHELL, '-c', UNPACK_MODULES];
      const input = services.world.files.openUnpacked(modulesPath);
      const command = { argv, env: {}, onLine: work.log, signal, timeoutMs: SCRIPT_TIMEOUT_MS, input };
      if ((await runInGuest(agent, command)) === 0) return;
      throw new BangerError('COMMAND_FAILED', "the guest could not unpack the kernel's modules");
    },
  };
}

const HAS_MODULES = 'test -e "/lib/modules/$(uname -r)/modules.dep"';
/** Of the archive, whose names begin with lib/. */
const UNPACK_MODULES = 'cd / && if [ -L /lib ]; then cd /usr; fi && tar -x && depmod "$(uname -r)"';

function packagesStep(plan: ProvisionPlan, work: Provisioning): Step<ImageContext> {
  return {
    name: 'packages',
    title: 'packages',
    async apply(context, signal) {
      const { services, operation } = context;
      const { agent } = services.vms.machines.get(work.builder().vm);
      const status = await readAll(agent.getFile('/var/lib/dpkg/status', { signal }));
      operation.progress('packages', 'fetching on the host');
      const { distribution } = plan.base;
      const archives = await services.vms.locks.hold(FETCHING, signal, () =>
        work.sources.archives({ distribution, status, names: plan.packages, signal, onLine: work.log }),
      );
      for (const [n, path] of (archives ?? []).entries()) {
        operation.progress('packages', 'handing over', n / (archives?.length ?? 1));
        await push(context, work, `archives/${path.slice(path.lastIndexOf('/') + 1)}`, path, signal);
      }
      const env = { BANGER_PACKAGES: plan.packages.join(' '), DEBIAN_FRONTEND: 'noninteractive' };
      operation.progress('packages', 'installing');
      // The guest may have all requested packages already.
      if (archives?.length === 0) return;
      await runScript(context, work, 'packages', (await work.sources.frame()).installPackages, env, signal);
    },
  };
}

const MAX_STATUS_BYTES = 64 * 1024 ** 2;

async function readAll(opening: Promise<{ content: AsyncIterable<unknown> }>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of (await opening).content) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_STATUS_BYTES) throw new BangerError('GUEST_FILE', "the guest's package status is too long");
  }
  return Buffer.concat(chunks).toString('utf8');
}

function scriptStep(step: Pick<ProvisionStep, 'name' | 'title' | 'script' | 'artifacts'>, work: Provisioning): Step<ImageContext> {
  return {
    name: step.name,
    title: step.title,
    async apply(context, signal) {
      const env: Record<string, string> = {};
      for (const name of step.artifacts) {
        context.operation.progress(step.name, `fetching ${name}`);
        const { path, version } = await context.services.vms.locks.hold(FETCHING, signal, () =>
          work.sources.artifact(name, { signal, onLine: work.log }),
        );
        await push(context, work, name, path, signal);
        env[`${name.replaceAll('-', '_').toUpperCase()}_VERSION`] = version;
      }
      await runScript(context, work, step.name, step.script, env, signal);
    },
  };
}

/** Copies a file of the host to the guest, below the build's directory. */
async function push({ services }: ImageContext, work: Provisioning, name: string, path: string, signal: AbortSignal): Promise<void> {
  const { agent } = services.vms.machines.get(work.builder().vm);
  const file = await services.world.files.openWhole(path);
  if (name.includes('/')) await makeParent(agent, work, name, signal);
  await agent.putFile(`${WORK_DIRECTORY}/${name}`, { ...file, mode: 0o600 }, { signal });
}

async function makeParent(agent: Parameters<typeof runInGuest>[0], work: Provisioning, name: string, signal: AbortSignal): Promise<void> {
  const argv = [SHELL, '-c', `mkdir -p ${WORK_DIRECTORY}/${name.slice(0, name.lastIndexOf('/'))}`];
  await runInGuest(agent, { argv, env: {}, onLine: work.log, signal, timeoutMs: 60_000 });
}

/** A shell named sh runs its scripts so that the first failure ends them. */
const OF_SHELL = /^#![ \t]*(\/usr)?\/bin\/(env[ \t]+)?sh[ \t]*\r?$/m;

/** @returns the program that runs a script: the one behind its `#!`, else the shell */
function commandOf(path: string, script: string): string[] {
  const [first = ''] = script.split('\n', 1);
  return first.startsWith('#!') && !OF_SHELL.test(first) ? [path] : [SHELL, '-eu', path];
}

/** @throws COMMAND_FAILED with the last line that it printed */
export async function runScript(
  { services, operation }: ImageContext,
  work: Provisioning,
  name: string,
  script: string,
  env: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const { agent } = services.vms.machines.get(work.builder().vm);
  const path = `${WORK_DIRECTORY}/${name}.sh`;
  const bytes = Buffer.from(script);
  await agent.putFile(path, { content: once(bytes), sizeBytes: bytes.length, mode: 0o700 }, { signal });
  let last = '';
  const status = await runInGuest(agent, {
    argv: commandOf(path, script),
    env: { ...env, BANGER_BUILD: WORK_DIRECTORY, LC_ALL: 'C.UTF-8' },
    onLine: (line) => {
      work.log(line);
      operation.log(line);
      if (line.trim() !== '') last = line;
    },
    signal,
    timeoutMs: SCRIPT_TIMEOUT_MS,
  });
  if (status === 0) return;
  throw new BangerError('COMMAND_FAILED', `the provisioning step ${name} ended with status ${status}: ${last.slice(0, 200)}`, {
    remedy: 'look at the build log',
    details: { step: name, status },
  });
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
