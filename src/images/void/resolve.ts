// Resolves the dependencies of packages, in the order in which xbps would install them.
import { BangerError } from '../../model/errors.ts';
import { distrust } from './problem.ts';
import type { IndexedPackage, Repository } from './repository.ts';
import { matches, parsePattern, type Pattern, splitPkgver } from './version.ts';

export type Chosen = {
  one: IndexedPackage;
  /** Installed as a dependency only. */
  automatic: boolean;
};

/** As in xbps (lib/transaction_pkg_deps.c, MAX_DEPTH). */
const MOST_DEPTH = 512;

type Index = Pick<Repository, 'packages' | 'unusable'>;

/**
 * @param wanted names, or patterns such as `foo>=1.0`
 * @returns each package after its dependencies, except where they depend on each other
 * @throws INVALID_INPUT for unknown or conflicting packages; DOWNLOAD_FAILED if the repository lacks a dependency of its own packages
 */
export function resolve(index: Index, wanted: readonly string[]): Chosen[] {
  const asked = new Set(wanted.map((text) => find(index, text, new Map())?.name ?? unknown(text)));
  const chosen = new Map<string, Chosen>();
  const begun = new Map<string, IndexedPackage>();
  const visit = (one: IndexedPackage, path: readonly string[]): void => {
    if (begun.has(one.name)) return;
    begun.set(one.name, one);
    if (path.length > MOST_DEPTH) throw distrust(`its dependencies form chains of more than ${MOST_DEPTH} packages`);
    for (const dependency of one.runDepends) {
      const found = find(index, dependency, begun);
      if (found === undefined) throw missing(dependency, [...path, one.pkgver]);
      visit(found, [...path, one.pkgver]);
    }
    chosen.set(one.name, { one, automatic: !asked.has(one.name) });
  };
  // A package that the user names may provide what others depend on.
  for (const name of asked) visit(index.packages.get(name) as IndexedPackage, []);
  const all = [...chosen.values()];
  refuseClashes(all.map(({ one }) => one));
  refuseMissingLibraries(all.map(({ one }) => one));
  return all;
}

/** @param begun packages that will be installed anyway; they come first */
function find(index: Index, text: string, begun: ReadonlyMap<string, IndexedPackage>): IndexedPackage | undefined {
  const pattern = parsePattern(text);
  if (pattern === undefined) return undefined;
  const present = begun.get(pattern.name) ?? [...begun.values()].find((one) => isProvided(one, pattern));
  if (present !== undefined && isMet(present, pattern)) return present;
  const real = index.packages.get(pattern.name);
  if (real !== undefined && isMet(real, pattern)) return real;
  const problem = index.unusable.get(pattern.name);
  if (problem !== undefined) throw problem;
  const providers = [...index.packages.values()].filter((one) => isProvided(one, pattern));
  return providers.toSorted((a, b) => (a.name < b.name ? -1 : 1))[0];
}

function isMet(one: IndexedPackage, pattern: Pattern): boolean {
  return matches(pattern, one.pkgver) || isProvided(one, pattern);
}

/** A package may stand in for another, as `foo-1.0_1` of its `provides`. */
function isProvided({ provides }: IndexedPackage, pattern: Pattern): boolean {
  return provides.some((virtual) => matches(pattern, virtual));
}

function unknown(text: string): never {
  throw new BangerError('INVALID_INPUT', `the Void repository has no package ${JSON.stringify(text.slice(0, 80))}`, {
    remedy: 'correct the list of packages, or take another mirror (void.mirror in config.toml)',
    details: { package: text },
  });
}

function missing(dependency: string, path: readonly string[]): BangerError {
  const way = path.length > 1 ? `, which is needed by ${path.slice(0, -1).toReversed().join(', by ')}` : '';
  return distrust(`${path.at(-1)} needs ${JSON.stringify(dependency.slice(0, 120))}, which it does not have${way}`);
}

/** @throws INVALID_INPUT */
function refuseClashes(all: readonly IndexedPackage[]): void {
  for (const one of all) {
    for (const [verb, texts] of [['conflicts with', one.conflicts] as const, ['replaces', one.replaces] as const]) {
      const patterns = texts.flatMap((text) => parsePattern(text) ?? []);
      const other = all.find((candidate) => candidate !== one && patterns.some((pattern) => matches(pattern, candidate.pkgver)));
      if (other === undefined) continue;
      throw new BangerError('INVALID_INPUT', `the Void package ${one.pkgver} ${verb} ${other.pkgver}`, {
        remedy: `leave one of them out of the list of packages`,
        details: { packages: [one.pkgver, other.pkgver] },
      });
    }
  }
}

/** A mirror that is being updated may have programs that are newer than their libraries, or older. */
function refuseMissingLibraries(all: readonly IndexedPackage[]): void {
  const provided = new Set(all.flatMap(({ shlibProvides }) => shlibProvides));
  for (const { pkgver, shlibRequires } of all) {
    const lacking = shlibRequires.find((library) => !provided.has(library));
    if (lacking === undefined) continue;
    throw distrust(`${pkgver} needs the library ${JSON.stringify(lacking.slice(0, 120))}, which none of its packages provides`, {
      remedy: 'wait until the mirror is up to date, or take another one (void.mirror in config.toml)',
    });
  }
}

/**
 * The package that holds the kernel: `linux6.12` for `linux`, which would add firmware for hardware that no VM has, and another initramfs
 * generator.
 * @throws DOWNLOAD_FAILED
 */
export function kernelPackage(index: Index): string {
  const names = index.packages.get('linux')?.runDepends.map((text) => parsePattern(text)?.name ?? splitPkgver(text)?.name ?? '') ?? [];
  const kernel = names.find((name) => /^linux\d+\.\d+$/.test(name));
  if (kernel === undefined) throw distrust('it has no package linux that names a kernel');
  return kernel;
}
