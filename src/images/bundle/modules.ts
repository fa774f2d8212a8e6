/** Drivers that a guest needs before its root file system is mounted; built-in ones are skipped. */
export const INITRAMFS_MODULES = [
  'virtio_mmio',
  'virtio_blk',
  'virtio_console',
  'virtio_net',
  'virtio_rng',
  'virtio_balloon',
  'vmw_vsock_virtio_transport',
  'ext4',
] as const;

/** `virtio-rng.ko.xz` and `virtio_rng` are the same module (modprobe(8)). */
export function moduleName(path: string): string {
  const file = path.slice(path.lastIndexOf('/') + 1);
  return file.replace(/\.ko(\.(gz|xz|zst))?$/, '').replaceAll('-', '_');
}

/**
 * @param elf content of an uncompressed `.ko`
 * @returns the modules that its `.modinfo` section lists in `depends=`, and those that serve its `softdep=pre:`, which modprobe would load
 * on a full system. This needs no depmod.
 */
export function moduleDependencies(elf: Buffer): string[] {
  const hard = modinfo(elf, 'depends')?.split(',') ?? [];
  const soft = /\bpre: ([^:]*?)(?: \w+:|$)/.exec(modinfo(elf, 'softdep') ?? '')?.[1]?.split(' ') ?? [];
  const names = [...hard, ...soft.flatMap(algorithmModules)].filter((name) => name !== '');
  return names.map((name) => name.replaceAll('-', '_'));
}

/** The kernel asks for an algorithm as `crypto-NAME`; the plain implementation is `NAME_generic` (crypto/api.c, crypto_larval_lookup). */
function algorithmModules(name: string): string[] {
  const algorithm = /^crypto-(.+)$/.exec(name)?.[1];
  return algorithm === undefined ? [name] : [`${algorithm}_generic`, algorithm];
}

/** @returns the first value of that key in the section, whose entries end in zeros */
function modinfo(elf: Buffer, name: string): string | undefined {
  const key = Buffer.from(`${name}=`);
  for (let at = elf.indexOf(key); at !== -1; at = elf.indexOf(key, at + 1)) {
    if (at > 0 && elf[at - 1] !== 0) continue;
    const end = elf.indexOf(0, at);
    return elf.toString('latin1', at + key.length, end === -1 ? elf.length : end);
  }
  return undefined;
}

/**
 * @param wanted names of modules
 * @param dependenciesOf direct dependencies of a module, undefined when there is no such module file
 * @returns every needed module, each after those that it needs; a module without a file is left out: it is either built in or missing
 */
export async function loadOrder(
  wanted: readonly string[],
  dependenciesOf: (name: string) => Promise<string[] | undefined>,
): Promise<string[]> {
  const order: string[] = [];
  const seen = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    if (seen.has(name)) return;
    seen.add(name);
    const dependencies = await dependenciesOf(name);
    if (dependencies === undefined) return;
    for (const dependency of dependencies) await visit(dependency);
    order.push(name);
  };
  for (const name of wanted) await visit(name);
  return order;
}
