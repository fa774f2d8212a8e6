import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { writeCpio } from './cpio.ts';
import type { CpioEntry } from './cpio.ts';
import { INITRAMFS_MODULES, loadOrder, moduleDependencies, moduleName } from './modules.ts';
import { checkVmlinux, decompress, kernelPayload } from './vmlinux.ts';

export type KernelPackage = { name: string; version: string; sha256: string };

/**
 * @param metaPackage output of `apt-cache show` of the package that always depends on the newest kernel
 * @returns the name of that kernel's package, or undefined
 */
export function kernelDependency(metaPackage: string): string | undefined {
  return /^Depends:.*?\b(linux-image-[^\s,(]+)/m.exec(metaPackage)?.[1];
}

/** @returns name, version and checksum of the first stanza of `apt-cache show`, the version that apt would install */
export function parsePackageStanza(text: string): KernelPackage | undefined {
  const field = (name: string): string | undefined => new RegExp(`^${name}: (\\S+)$`, 'm').exec(text.split('\n\n')[0] ?? '')?.[1];
  const [name, version, sha256] = [field('Package'), field('Version'), field('SHA256')];
  return name === undefined || version === undefined || sha256 === undefined ? undefined : { name, version, sha256 };
}

/** @throws BangerError PREREQUISITE_MISSING if apt knows no such kernel */
export async function resolveKernelPackage(architecture: string, host: Host): Promise<KernelPackage> {
  const metaPackage = `linux-image-cloud-${architecture}`;
  const meta = await host.run(['apt-cache', 'show', '--no-all-versions', metaPackage]).catch(() => undefined);
  const name = kernelDependency(meta?.stdout ?? '');
  if (name !== undefined) {
    const stanza = parsePackageStanza((await host.run(['apt-cache', 'show', '--no-all-versions', name])).stdout);
    if (stanza !== undefined) return stanza;
  }
  throw new BangerError('PREREQUISITE_MISSING', `apt has no kernel package ${metaPackage}.`, { remedy: 'sudo apt-get update' });
}

/** Downloads the package and unpacks it into `directory` without installing it; apt checks the signature chain. */
export async function fetchKernel(
  kernel: KernelPackage,
  directory: string,
  host: Host,
  options: { signal: AbortSignal; onLine: (line: string) => void },
): Promise<void> {
  await host.run(['apt-get', 'download', `${kernel.name}=${kernel.version}`], { cwd: directory, timeoutMs: 900_000, ...options });
  const archive = (await readdir(directory)).find((name) => name.endsWith('.deb'));
  if (archive === undefined) throw new BangerError('INTERNAL', `apt-get download produced no archive of ${kernel.name}.`);
  await host.run(['dpkg-deb', '-x', join(directory, archive), directory], { timeoutMs: 300_000, signal: options.signal });
  await host.removeTree(join(directory, archive));
}

// From here on every distribution is the same: a tree with `boot/vmlinuz-VERSION` and `lib/modules/VERSION`.

/** @returns the version (uname -r) of the unpacked kernel package in `tree` */
export async function kernelVersion(tree: string): Promise<string> {
  const [version] = await readdir(join(tree, 'lib/modules'));
  if (version === undefined) throw new BangerError('INTERNAL', 'The kernel package has no modules.');
  return version;
}

/** @returns the uncompressed kernel: every VMM accepts it, and it saves unpacking at each boot. @throws INVALID_INPUT, UNSUPPORTED */
export async function readVmlinux(tree: string, scratchPath: string, host: Host, signal: AbortSignal): Promise<Buffer> {
  const image = await readFile(join(tree, 'boot', `vmlinuz-${await kernelVersion(tree)}`));
  const elf = await decompress(kernelPayload(image), scratchPath, host, signal);
  checkVmlinux(elf);
  return elf;
}

/**
 * Packs the initramfs: the guest agent as /init, the modules that it loads (`/modules/order` lists the files in the order of loading), and
 * the directories on which it mounts. It is not compressed: unpacking takes longer than reading, above all under software emulation.
 * @param tree the unpacked kernel package
 */
export async function packInitramfs(tree: string, agent: Uint8Array, scratchPath: string, host: Host): Promise<Buffer> {
  const version = await kernelVersion(tree);
  const modules = await collectModules(join(tree, 'lib/modules', version), scratchPath, host);
  const directories = ['dev', 'proc', 'sys', 'run', 'newroot', 'modules'].map(
    (path) => ({ type: 'directory', path, mode: 0o755 }) as const,
  );
  const entries: CpioEntry[] = [
    ...directories,
    { type: 'device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { type: 'device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
    { type: 'file', path: 'init', mode: 0o755, content: agent },
    { type: 'file', path: 'modules/order', mode: 0o644, content: Buffer.from(modules.map(({ name }) => `${name}.ko\n`).join('')) },
    ...modules.map(({ name, content }) => ({ type: 'file', path: `modules/${name}.ko`, mode: 0o644, content }) as const),
  ];
  return writeCpio(entries);
}

/** @returns the needed modules, unpacked, in loading order. @throws BangerError INTERNAL if one is neither a file nor built in */
async function collectModules(directory: string, scratchPath: string, host: Host): Promise<{ name: string; content: Buffer }[]> {
  const paths = new Map<string, string>();
  for (const path of await readdir(join(directory, 'kernel'), { recursive: true })) {
    if (/\.ko(\.(gz|xz|zst))?$/.test(path)) paths.set(moduleName(path), join(directory, 'kernel', path));
  }
  const contents = new Map<string, Buffer>();
  const order = await loadOrder(INITRAMFS_MODULES, async (name) => {
    const path = paths.get(name);
    if (path === undefined) return undefined;
    const content = await decompress(await readFile(path), scratchPath, host);
    contents.set(name, content);
    return moduleDependencies(content);
  });
  const builtIn = new Set(((await host.readIfThere(join(directory, 'modules.builtin'))) ?? '').split('\n').map(moduleName));
  const missing = INITRAMFS_MODULES.filter((name) => !contents.has(name) && !builtIn.has(name));
  if (missing.length > 0) throw new BangerError('INTERNAL', `The kernel has no module ${missing.join(', ')}.`);
  return order.map((name) => ({ name, content: contents.get(name) ?? Buffer.alloc(0) }));
}
