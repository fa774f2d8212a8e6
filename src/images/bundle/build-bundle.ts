import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import type { Bundle, BundleManifest } from '../../model/image.ts';
import { keptPrograms } from './add-programs.ts';
import { collectBuildFacts } from './build-facts.ts';
import { AGENT_FOLDER, COMMON_FOLDER, DEBIAN_FOLDER, FORWARDER_FOLDER, hashOf, hashSources } from './build-inputs.ts';
import type { SourceHashes } from './build-inputs.ts';
import { assembleStep, compileStep, initramfsStep, kernelStep, packagesStep, vmlinuxStep } from './build-steps.ts';
import type { BuildContext } from './build-steps.ts';
import { fileProblems, readManifest } from './find-bundle.ts';
import { kernelVersion, resolveKernelPackage } from './kernel.ts';
import { refuseBuild } from './preflight.ts';
import { ensureSshKey, publishManifest, publishPart, supersededFiles } from './publish.ts';
import type { BuiltPart } from './publish.ts';
import { packageOrigin, readPackageList } from './root-packages.ts';
import { buildCancelled, createStepCache } from './step-cache.ts';
import type { StepOutput } from './step-cache.ts';
import type { BuildOptions } from './build-options.ts';

export type BuildResult = {
  bundle: Bundle;
  /** False if the bundle was up to date and nothing was built. */
  built: boolean;
  /** Absolute paths of files of earlier builds in the bundle's directory; VMs may still need them. */
  superseded: string[];
};

/**
 * Builds the runtime bundle on this machine. Every step keeps its result in the cache, so an interrupted build continues, and a build with
 * nothing to do ends at once. The bundle in `directory` stays valid until the new `bundle.json` replaces the old one.
 * @throws BangerError PREREQUISITE_MISSING or NO_SPACE with all reasons, CANCELLED, COMMAND_FAILED if a tool fails
 */
export async function buildBundle(options: BuildOptions): Promise<BuildResult> {
  const { host } = options;
  const sources = await hashSources(options.sourceRoot);
  if (sources === undefined) {
    throw new BangerError('PREREQUISITE_MISSING', `The bundle's sources in ${options.sourceRoot} are incomplete.`, {
      remedy: 'reinstall banger, or run it from a complete checkout',
      details: { folders: [AGENT_FOLDER, FORWARDER_FOLDER, COMMON_FOLDER, DEBIAN_FOLDER] },
    });
  }
  const current = options.force ? undefined : await upToDate(options.directory, sources, host);
  if (current !== undefined) {
    return { bundle: current, built: false, superseded: await supersededFiles(current.directory, current.manifest) };
  }
  await host.makePrivateDirectory(options.cacheDirectory);
  const facts = await collectBuildFacts(options.cacheDirectory, host);
  refuseBuild(facts);
  const logPath = join(options.cacheDirectory, 'build.log');
  const log = createWriteStream(logPath, { mode: 0o600 });
  // The log only helps people: if the disk is full, the step that needs the space reports it.
  log.on('error', () => undefined);
  const onLog = (line: string): void => {
    log.write(`${line}\n`);
    options.onLog(line);
  };
  try {
    return await build({ ...options, onLog }, sources, facts.userId);
  } catch (error) {
    throw asBuildError(error, options.signal, logPath);
  } finally {
    log.end();
  }
}

/** @returns the bundle if it was made from these sources and is complete */
async function upToDate(directory: string, sources: SourceHashes, host: Host): Promise<Bundle | undefined> {
  try {
    const manifest = await readManifest(directory, host);
    if (manifest === undefined || manifest.inputsHash !== sources.all) return undefined;
    return (await fileProblems({ directory, manifest }, host)).length === 0 ? { directory, manifest } : undefined;
  } catch (error) {
    // This command is the remedy for a broken bundle.
    if (error instanceof BangerError) return undefined;
    throw error;
  }
}

async function build(options: BuildOptions, sources: SourceHashes, userId: number): Promise<BuildResult> {
  const { host, directory, sourceRoot } = options;
  const context: BuildContext = { ...options, userId, scripts: join(sourceRoot, DEBIAN_FOLDER) };
  const cache = createStepCache({ ...options, cacheDirectory: join(options.cacheDirectory, 'steps') });
  const origin = await packageOrigin(host);
  const packages = await readPackageList(context.scripts);
  const kernelPackage = await resolveKernelPackage('amd64', host);

  const agent = await cache.run(compileStep(context, AGENT_FOLDER, 'banger-agent', sources.agent));
  const forwarder = await cache.run(compileStep(context, FORWARDER_FOLDER, 'banger-forwarder', sources.forwarder));
  const kernel = await cache.run(kernelStep(context, kernelPackage));
  const vmlinux = await cache.run(vmlinuxStep(context, kernel, kernelPackage));
  const initramfs = await cache.run(initramfsStep(context, kernel, kernelPackage, output(agent.outputs, 'banger-agent')));
  const root = await cache.run(packagesStep(context, origin, packages));
  const image = await cache.run(assembleStep(context, kernel, kernelPackage, output(root.outputs, 'root.tar'), sources.debian));

  await host.makePrivateDirectory(directory);
  const publish = (part: BuiltPart, from: { outputs: Record<string, StepOutput> }, name: string): ReturnType<typeof publishPart> =>
    publishPart(part, output(from.outputs, name), directory, host);
  const manifest: BundleManifest = {
    formatVersion: 1,
    architecture: 'x86_64',
    distribution: `debian ${origin.codename}`,
    kernelVersion: await kernelVersion(kernel.directory),
    builtAt: new Date().toISOString(),
    inputsHash: sources.all,
    packages,
    packagesHash: hashOf(...packages),
    files: {
      agent: await publish('agent', agent, 'banger-agent'),
      forwarder: await publish('forwarder', forwarder, 'banger-forwarder'),
      kernel: await publish('kernel', vmlinux, 'vmlinux'),
      initramfs: await publish('initramfs', initramfs, 'initramfs.cpio'),
      modules: await publish('modules', image, 'modules.tar.zst'),
      rootfs: await publish('rootfs', image, 'rootfs.ext4'),
      workSeed: await publish('workSeed', image, 'work-seed.ext4'),
      ...(await ensureSshKey(directory, 'banger', host)),
      ...(await keptPrograms(directory, host)),
    },
  };
  await publishManifest(directory, manifest, host);
  await cache.prune();
  return { bundle: { directory, manifest }, built: true, superseded: await supersededFiles(directory, manifest) };
}

function output(outputs: Record<string, StepOutput>, name: string): StepOutput {
  const found = outputs[name];
  if (found === undefined) throw new BangerError('INTERNAL', `No build step made ${name}.`);
  return found;
}

/** Turns a failed command into an error with a code. The sentence has the tool's last line, the log has all lines. */
function asBuildError(error: unknown, signal: AbortSignal, logPath: string): unknown {
  if (error instanceof BangerError) return error;
  if (signal.aborted) return buildCancelled(error);
  if (!(error instanceof Error) || error.name !== 'CommandFailure') return error;
  return new BangerError('COMMAND_FAILED', `Building the runtime bundle failed: ${error.message}; the next build reuses finished steps.`, {
    remedy: 'banger bundle build',
    logPath,
    cause: error,
  });
}
