import { BangerError } from './errors.ts';

/** One selectable part of provisioning: a file `NN-name.sh`, with what it needs in the comment that it begins with. */
export type ProvisionStep = {
  name: string;
  title: string;
  /** Shell; it runs in the guest as root, with -eu. */
  script: string;
  /** Packages that must be installed before it runs. */
  packages: string[];
  /** Names in artifacts.toml; each lies as `$BANGER_BUILD/NAME`, and `NAME_VERSION` says which it is. */
  artifacts: string[];
  /** Other steps, which come along. */
  needs: string[];
  /** Taken only when it is asked for by name. */
  isOptional: boolean;
  /** Guest ports that VMs of the image wait for. */
  servicePorts: number[];
};

/**
 * @param wish.only names of steps, which bring those along that they need; absent: all but the optional ones
 * @param wish.skip names of steps that are left out
 * @returns the chosen steps in their order
 * @throws INVALID_INPUT for a name that is unknown, and for a step without one that it needs
 */
export function chooseSteps(
  all: readonly ProvisionStep[],
  wish: { only?: readonly string[] | undefined; skip?: readonly string[] | undefined },
): ProvisionStep[] {
  const names = all.map(({ name }) => name);
  for (const name of [...(wish.only ?? []), ...(wish.skip ?? [])]) {
    if (names.includes(name)) continue;
    throw new BangerError('INVALID_INPUT', `there is no provisioning step ${JSON.stringify(name.slice(0, 80))}`, {
      remedy: `use one of ${names.join(', ')}`,
      details: { steps: names },
    });
  }
  const skipped = new Set(wish.skip);
  const wanted = wish.only === undefined ? all.filter(({ isOptional }) => !isOptional).map(({ name }) => name) : withNeeds(all, wish.only);
  const chosen = all.filter(({ name }) => wanted.includes(name) && !skipped.has(name));
  for (const { name, needs } of chosen) {
    const absent = needs.filter((need) => skipped.has(need));
    if (absent.length === 0) continue;
    throw new BangerError('INVALID_INPUT', `the provisioning step ${name} needs ${absent.join(', ')}`, {
      remedy: `do not skip ${absent.join(' and ')}, or leave it out with --skip ${name}`,
    });
  }
  return chosen;
}

function withNeeds(all: readonly ProvisionStep[], names: readonly string[]): string[] {
  const needed = all.filter(({ name }) => names.includes(name)).flatMap(({ needs }) => needs);
  const more = needed.filter((name) => !names.includes(name));
  return more.length === 0 ? [...names] : withNeeds(all, [...names, ...more]);
}
