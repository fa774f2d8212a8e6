import { BangerError } from './errors.ts';

/** One optional part of provisioning: a file `NN-name.sh`, whose first comment declares what it needs. */
export type ProvisionStep = {
  name: string;
  title: string;
  /** Shell; runs in the guest as root, with -eu. */
  script: string;
  /** Packages that must be installed before it runs. */
  packages: string[];
  /** Names in artifacts.toml; each is at `$BANGER_BUILD/NAME`, and `NAME_VERSION` holds its version. */
  artifacts: string[];
  /** Other steps, which are added automatically. */
  needs: string[];
  /** Runs only if the user names it. */
  isOptional: boolean;
  /** Guest ports for which VMs of the image wait. */
  servicePorts: number[];
};

/**
 * @param wish.only names of steps, to which the steps that they need are added; absent: all but the optional ones
 * @param wish.skip names of steps to leave out
 * @returns the chosen steps in their order
 * @throws INVALID_INPUT for an unknown name, and for a step whose requirement is left out
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
