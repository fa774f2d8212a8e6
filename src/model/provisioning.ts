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
  /** Other steps. */
  needs: string[];
  /** Guest ports that VMs of the image wait for. */
  servicePorts: number[];
};

/**
 * @param wish.only names of steps; absent: all
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
  const chosen = all.filter(({ name }) => (wish.only?.includes(name) ?? true) && wish.skip?.includes(name) !== true);
  for (const { name, needs } of chosen) {
    const absent = needs.filter((need) => !chosen.some((step) => step.name === need));
    if (absent.length === 0) continue;
    throw new BangerError('INVALID_INPUT', `the provisioning step ${name} needs ${absent.join(', ')}`, {
      remedy: `take ${absent.join(' and ')} too, or leave it out with --skip ${name}`,
    });
  }
  return chosen;
}
