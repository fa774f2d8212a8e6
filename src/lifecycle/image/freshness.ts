import type { ProvisionSources } from '../../images/provision/sources.ts';
import type { Freshness, ImageServices } from '../../context/services.ts';
import type { Image, ImageRecipe } from '../../model/image.ts';
import type { ProvisionStep } from '../../model/provisioning.ts';
import { bundlePackagesHash } from '../bundle/packages-hash.ts';
import type { BundleParts } from '../bundle/parts.ts';
import type { Places } from '../bundle/places.ts';

/** @returns a function that tells whether an image matches its present sources */
export function freshnessOf(context: {
  places: Pick<Places, 'sourceRoot'>;
  provisionSources: Pick<ProvisionSources, 'steps' | 'hash'>;
  distributions: ImageServices['distributions'];
  bundle: Pick<BundleParts, 'agentSha256'>;
}): (image: Image) => Promise<Freshness> {
  const { places, provisionSources: sources, distributions, bundle } = context;

  /** @returns the hash of the present manifest; undefined if the image has no known manifest */
  async function presentHash({ origin, recipe }: Image): Promise<string | undefined> {
    if (places.sourceRoot === null) return undefined;
    if (origin === 'bundle') return bundlePackagesHash(places.sourceRoot);
    // banger does not check the present content of the user's own list.
    if (recipe === null || recipe.packagesPath !== null) return undefined;
    if (recipe.from === null) return sources.hash((await distributions.get(recipe.distribution)?.packages()) ?? []);
    const steps = (await sources.steps()).filter(({ name }) => recipe.steps.includes(name));
    return sources.hash([...new Set(steps.flatMap((step) => step.packages))]);
  }

  return async (image) => {
    const present = image.packagesHash === null ? undefined : await presentHash(image).catch(() => undefined);
    const stale = present !== undefined && present !== image.packagesHash;
    const agent = bundle.agentSha256();
    const agentOutdated = agent !== undefined && image.agentSha256 !== null && image.agentSha256 !== agent;
    if (image.recipe !== null && (stale || agentOutdated)) {
      return { stale, agentOutdated, rebuildCommand: rebuildCommand(image.name, image.recipe, await sources.steps()) };
    }
    return { stale, agentOutdated, rebuildCommand: stale ? 'banger bundle build' : null };
  };
}

/** @returns a command line that builds the same again, under the same name */
export function rebuildCommand(name: string, recipe: ImageRecipe, steps: readonly Pick<ProvisionStep, 'name' | 'isOptional'>[]): string {
  const origin = recipe.from === null ? ['--distribution', recipe.distribution] : ['--from', recipe.from];
  return [
    ...['banger image build', '--name', name, ...origin, '--replace'],
    ...(recipe.packagesPath === null ? [] : ['--packages', quote(recipe.packagesPath)]),
    ...(recipe.scriptPath === null ? [] : ['--script', quote(recipe.scriptPath)]),
    ...(recipe.from === null ? [] : choiceOf(recipe, steps)),
    ...trustSwitch('host-ca', recipe.hostCa),
    ...trustSwitch('host-proxy', recipe.hostProxy),
  ].join(' ');
}

function trustSwitch(name: string, value: boolean | undefined): string[] {
  return value === undefined ? [] : [value ? `--${name}` : `--no-${name}`];
}

/** Names the steps if one of them runs only on request; otherwise names the skipped ones. */
function choiceOf(recipe: ImageRecipe, steps: readonly Pick<ProvisionStep, 'name' | 'isOptional'>[]): string[] {
  const taken = steps.filter(({ name }) => recipe.steps.includes(name));
  if (taken.some(({ isOptional }) => isOptional)) return taken.flatMap(({ name }) => ['--step', name]);
  return steps.filter((step) => !step.isOptional && !taken.includes(step)).flatMap(({ name }) => ['--skip', name]);
}

/** For a POSIX shell. */
function quote(path: string): string {
  return /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
