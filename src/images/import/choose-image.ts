// Chooses an image of an archive: by name or digest, for this processor, and no signature (image-spec: image-index.md).
import { z } from 'zod';
import { refusal, shown } from './problem.ts';

/** Which of several images to take. */
export type Choice = { reference: string | undefined; architecture: string };

export const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'is no sha256 digest');

export const descriptorSchema = z.object({
  mediaType: z.string().default(''),
  artifactType: z.string().optional(),
  digest: digestSchema,
  size: z.number().int().nonnegative(),
  platform: z.object({ architecture: z.string(), os: z.string(), variant: z.string().optional() }).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

/** The annotations in which tools store a name: the specification's own, and those of containerd and buildkit. */
const NAME_ANNOTATIONS = ['org.opencontainers.image.ref.name', 'io.containerd.image.name'];
/** The tags under which cosign stores its data about an image (cosign, specs/SIGNATURE_SPEC.md). */
const COSIGN_TAG = /^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$/;
const COSIGN_KIND = /^dev\.cosignproject\.cosign\/(sigs|atts|sbom)/;

export function namesOf({ annotations = {} }: Descriptor): string[] {
  return NAME_ANNOTATIONS.flatMap((key) => annotations[key] ?? []);
}

/** @returns whether it is an image or an index, as far as an index shows; signatures, attestations and other artifacts stand beside them */
export function isRunnable({ mediaType, artifactType, platform, annotations = {}, ...rest }: Descriptor): boolean {
  if (mediaType !== '' && !/(manifest|index)(\.list|\.v\d)?[^/]*\+json$/.test(mediaType)) return false;
  if (artifactType !== undefined && artifactType !== '' && !/^application\/vnd\.(oci|docker)\..*(image|config)/.test(artifactType))
    return false;
  if (platform !== undefined && platform.os === 'unknown') return false;
  if ('vnd.docker.reference.type' in annotations || COSIGN_KIND.test(annotations['kind'] ?? '')) return false;
  return !namesOf({ mediaType, annotations, ...rest }).some((name) => COSIGN_TAG.test(name));
}

/** @returns the images that this processor runs; without a platform, only an image's configuration can tell */
export function fitting(manifests: readonly Descriptor[], { architecture }: Choice): Descriptor[] {
  const runs = manifests.filter(
    ({ platform }) => platform === undefined || (platform.os === 'linux' && platform.architecture === architecture),
  );
  if (runs.length === 0 && manifests.length > 0) {
    const there = manifests
      .map(({ platform }) => [platform?.os, platform?.architecture, platform?.variant].filter(Boolean).join('/'))
      .join(', ');
    throw refusal(`it is for ${shown(there)}, not for linux/${architecture}`, 'fetch the image of this architecture');
  }
  return runs;
}

/** Of variants for newer processors of one architecture, the least demanding runs everywhere, also on an emulated processor. */
export function leastDemanding(manifests: readonly Descriptor[]): Descriptor[] {
  if (manifests.some(({ platform }) => platform === undefined)) return [...manifests];
  const demand = ({ platform }: Descriptor): number => {
    const level = Number(/^v(\d+)/.exec(platform?.variant ?? '')?.[1] ?? 0);
    // Every 64-bit Arm is a v8, whether or not it says so.
    return platform?.architecture === 'arm64' && level === 8 ? 0 : platform?.architecture === 'amd64' && level === 1 ? 0 : level;
  };
  const least = Math.min(...manifests.map(demand));
  return manifests.filter((one) => demand(one) === least);
}

/** @returns one for each digest: two names of one image are the same choice */
export function distinct(manifests: readonly Descriptor[]): Descriptor[] {
  return [...new Map(manifests.map((one) => [one.digest, one])).values()];
}

/** @returns the beginning of a SHA-256 in a reference: `sha256:HEX`, `NAME@sha256:HEX`, or a copied prefix of at least 12 digits */
export function digestIn(reference: string): string | undefined {
  return /^(?:.*@)?(?:sha256:)?([0-9a-f]{12,64})$/.exec(reference)?.[1];
}

/** @returns whether users would treat both names as the same: ignores the parts that tools add */
export function sameName(one: string, other: string): boolean {
  return plainName(one) === plainName(other);
}

function plainName(name: string): string {
  const short = name.replace(/^(docker\.io|localhost)\//, '').replace(/^library\//, '');
  return short.endsWith(':latest') ? short.slice(0, -':latest'.length) : short;
}

/** @throws INVALID_INPUT with the possible choices, if there is none or more than one */
export function theOne<T>(found: readonly T[], names: readonly string[], { reference }: Choice): T {
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  const known = names.length === 0 ? 'without a name' : names.map(shown).join(', ');
  if (first === undefined && reference !== undefined) throw refusal(`there is no ${shown(reference)} in it`, `it has ${known}`);
  if (first === undefined) throw refusal('there is no image in it');
  throw refusal(`it holds several images: ${known}`, 'choose one: --reference NAME');
}
