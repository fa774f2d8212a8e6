// Container images: OCI layouts (image-spec: image-layout.md, image-index.md, manifest.md, config.md) and archives of `docker save`.
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { z } from 'zod';
import { execProblem } from '../../model/limits.ts';
import type { Archive } from './archive.ts';
import type { ByteSource } from './bytes.ts';
import {
  type Choice,
  type Descriptor,
  descriptorSchema,
  digestIn,
  digestSchema,
  distinct,
  fitting,
  isRunnable,
  leastDemanding,
  namesOf,
  sameName,
  theOne,
} from './choose-image.ts';
import type { Layer } from './layers.ts';
import { refusal, shown } from './problem.ts';
import { signalNumber } from './stop-signal.ts';

/** How a container image wants to be run. */
export type ContainerConfig = {
  entrypoint: string[];
  env: Record<string, string>;
  user: string | null;
  workdir: string | null;
  /** A Linux signal number; null: the image names none. */
  stopSignal: number | null;
  /** The name of an unknown signal, as the image has it. */
  unknownSignal: string | null;
  /** Paths of its volumes. */
  volumes: string[];
  hasHealthCheck: boolean;
};

export type ContainerImage = { layers: Layer[]; config: ContainerConfig };

const MOST_JSON_BYTES = 4 * 1024 ** 2;
const MOST_LAYERS = 512;
/** An index may refer to others; no tool nests them deeper than this. */
const MOST_DEPTH = 4;
/** How many images are examined to find the right one. */
const MOST_CANDIDATES = 32;

const indexSchema = z.object({ manifests: z.array(descriptorSchema).max(1000) });
const manifestSchema = z.object({ config: descriptorSchema, layers: z.array(descriptorSchema).max(MOST_LAYERS).default([]) });
const eitherSchema = z.union([indexSchema, manifestSchema]);
const dockerManifestSchema = z.array(
  z.object({ Config: z.string(), RepoTags: z.array(z.string()).optional(), Layers: z.array(z.string()).max(MOST_LAYERS).default([]) }),
);
const words = z.array(z.string().max(131_072)).max(1024).optional();
const configSchema = z.object({
  architecture: z.string().optional(),
  os: z.string().optional(),
  config: z
    .object({
      ...{ Entrypoint: words, Cmd: words, Env: words, User: z.string().max(256).optional(), WorkingDir: z.string().max(4096).optional() },
      ...{ StopSignal: z.string().max(64).optional(), Volumes: z.record(z.string().max(4096), z.unknown()).optional() },
      // For images in docker's own format.
      Healthcheck: z.object({ Test: words }).optional(),
    })
    .optional(),
  rootfs: z.object({ diff_ids: z.array(digestSchema).default([]) }),
});

/** @returns the content of the archive; undefined if it is no container image */
export async function readContainer(archive: Archive, choice: Choice, signal: AbortSignal): Promise<ContainerImage | undefined> {
  const docker = await archive.file('manifest.json');
  if (docker !== undefined) return readDocker(archive, await parse(docker, dockerManifestSchema, signal), choice, signal);
  const index = await archive.file('index.json');
  if (index === undefined || (await archive.file('oci-layout')) === undefined) return undefined;
  return readOci(archive, await parse(index, indexSchema, signal), choice, signal);
}

type DockerManifest = z.infer<typeof dockerManifestSchema>;

async function readDocker(archive: Archive, images: DockerManifest, choice: Choice, signal: AbortSignal): Promise<ContainerImage> {
  const tagsOf = (image: DockerManifest[number]): string[] => image.RepoTags ?? [];
  const { reference } = choice;
  const digest = reference === undefined ? undefined : digestIn(reference);
  // The name of its configuration is the digest, with `.json` or below `blobs/sha256/`.
  const isNamed = (image: DockerManifest[number], name: string): boolean =>
    tagsOf(image).some((tag) => sameName(tag, name)) || (digest !== undefined && posix.basename(image.Config).startsWith(digest));
  const fits = reference === undefined ? images : images.filter((image) => isNamed(image, reference));
  const distinctImages = [...new Map(fits.map((image) => [image.Config, image])).values()];
  const image = theOne(distinctImages, images.flatMap(tagsOf), choice);
  const config = await parse(await need(archive, image.Config), configSchema, signal);
  const sources = await Promise.all(image.Layers.map((name) => need(archive, name)));
  return imageOf(config, sources, choice);
}

type Manifest = z.infer<typeof manifestSchema>;
/** An image of an index, with what was read of it. */
type Candidate = { descriptor: Descriptor; manifest: Manifest };

async function readOci(archive: Archive, index: z.infer<typeof indexSchema>, choice: Choice, signal: AbortSignal): Promise<ContainerImage> {
  const names = [...new Set(index.manifests.filter(isRunnable).flatMap(namesOf))];
  const chosen = fitting(await named(archive, index.manifests, choice, signal), choice);
  const candidates = await manifestsBelow(archive, distinct(leastDemanding(chosen)), choice, signal);
  const images = candidates.filter(({ manifest }) => isImage(manifest));
  const [foreign] = candidates.flatMap(({ manifest }) =>
    hasImageConfig(manifest) ? manifest.layers.filter((one) => !isFileSystem(one)) : [],
  );
  if (images.length === 0 && foreign !== undefined) throw refusal(`a layer of it is ${shown(foreign.mediaType)}, which is no file system`);
  const { manifest } = theOne(images, names, choice);
  const config = await parse(await blob(archive, manifest.config, signal), configSchema, signal);
  const sources: ByteSource[] = [];
  for (const layer of manifest.layers) sources.push(await blob(archive, layer, signal));
  return imageOf(config, sources, choice);
}

/** @returns the images of a reference: by a name of the outermost index, or by a digest anywhere; all images without one */
async function named(
  archive: Archive,
  manifests: readonly Descriptor[],
  { reference }: Choice,
  signal: AbortSignal,
  depth = 0,
): Promise<Descriptor[]> {
  if (reference === undefined) return manifests.filter(isRunnable);
  const byName = manifests.filter((one) => isRunnable(one) && namesOf(one).some((name) => sameName(name, reference)));
  const digest = digestIn(reference);
  if (byName.length > 0 || digest === undefined) return byName;
  const byDigest = manifests.filter((one) => one.digest.startsWith(`sha256:${digest}`));
  if (byDigest.length > 0 || depth === MOST_DEPTH) return byDigest;
  const found: Descriptor[] = [];
  for (const one of distinct(manifests).filter(isRunnable).slice(0, MOST_CANDIDATES)) {
    const read = await parse(await blob(archive, one, signal), eitherSchema, signal);
    if ('manifests' in read) found.push(...(await named(archive, read.manifests, { reference, architecture: '' }, signal, depth + 1)));
  }
  return found;
}

/** Follows indexes to the images for this processor. Images that are missing in the archive are skipped, unless all are missing. */
async function manifestsBelow(
  archive: Archive,
  manifests: readonly Descriptor[],
  choice: Choice,
  signal: AbortSignal,
  depth = 0,
): Promise<Candidate[]> {
  if (depth > MOST_DEPTH) throw refusal('its indexes are nested too deeply');
  if (manifests.length > MOST_CANDIDATES) throw refusal('it holds too many images to look at each', 'choose one: --reference NAME');
  const found: Candidate[] = [];
  for (const descriptor of manifests) {
    const read = await parse(await blob(archive, descriptor, signal), eitherSchema, signal);
    if (!('manifests' in read)) found.push({ descriptor, manifest: read });
    else {
      const inner = leastDemanding(fitting(read.manifests.filter(isRunnable), choice));
      found.push(...(await manifestsBelow(archive, distinct(inner), choice, signal, depth + 1)));
    }
  }
  return [...new Map(found.map((one) => [one.descriptor.digest, one])).values()];
}

/** Artifacts such as signatures and bills of materials also use the format of images, but their layers are no file systems. */
function isImage(manifest: Manifest): boolean {
  return hasImageConfig(manifest) && manifest.layers.every(isFileSystem);
}

function hasImageConfig({ config }: Manifest): boolean {
  return config.mediaType === '' || /(container\.image|image\.config)/.test(config.mediaType);
}

function isFileSystem({ mediaType }: Descriptor): boolean {
  return mediaType === '' || /(\.tar|tar\+|rootfs\.diff)/.test(mediaType);
}

function imageOf(config: z.infer<typeof configSchema>, sources: readonly ByteSource[], choice: Choice): ContainerImage {
  const { architecture, os } = config;
  if ((os ?? 'linux') !== 'linux' || (architecture ?? choice.architecture) !== choice.architecture) {
    throw refusal(
      `it is for ${shown(`${os}/${architecture}`)}, not for linux/${choice.architecture}`,
      'fetch the image of this architecture',
    );
  }
  const { diff_ids: digests } = config.rootfs;
  if (digests.length !== sources.length) throw refusal(`it names ${sources.length} layers and the digests of ${digests.length}`);
  const layers = sources.map((source, at): Layer => ({
    source,
    isLayer: true,
    unpackedSha256: (digests[at] ?? '').slice('sha256:'.length),
  }));
  return { layers, config: runOf(config.config ?? {}) };
}

function runOf(config: NonNullable<z.infer<typeof configSchema>['config']>): ContainerConfig {
  const env = (config.Env ?? []).flatMap((line): [string, string][] => {
    const equals = line.indexOf('=');
    const name = line.slice(0, Math.max(equals, 0));
    return name === '' || line.includes('\0') ? [] : [[name, line.slice(equals + 1)]];
  });
  const entrypoint = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const problem = entrypoint.length === 0 ? undefined : execProblem(entrypoint, Object.fromEntries(env));
  if (problem !== undefined) throw refusal(`what it runs ${problem}`);
  const stopSignal = signalNumber(config.StopSignal ?? '');
  const [check = 'NONE'] = config.Healthcheck?.Test ?? [];
  return {
    entrypoint,
    env: Object.fromEntries(env),
    user: config.User === undefined || config.User === '' ? null : config.User,
    workdir: typeof config.WorkingDir === 'string' && config.WorkingDir !== '' ? posix.resolve('/', config.WorkingDir) : null,
    stopSignal: stopSignal ?? null,
    unknownSignal: stopSignal === undefined && config.StopSignal ? config.StopSignal : null,
    volumes: Object.keys(config.Volumes ?? {}).map((path) => posix.resolve('/', path)),
    hasHealthCheck: check !== 'NONE',
  };
}

async function need(archive: Archive, name: string): Promise<ByteSource> {
  const found = await archive.file(name);
  if (found !== undefined) return found;
  throw refusal(`${shown(name)} is not in it`, 'write the archive again with all layers; banger does not fetch missing ones');
}

/** @throws INVALID_INPUT if it is missing or does not match its digest */
async function blob(archive: Archive, descriptor: Descriptor, signal: AbortSignal): Promise<ByteSource> {
  const hex = descriptor.digest.slice('sha256:'.length);
  const source = await need(archive, `blobs/sha256/${hex}`);
  const hash = createHash('sha256');
  for await (const chunk of source.open(signal)) hash.update(chunk);
  if (source.sizeBytes !== descriptor.size || hash.digest('hex') !== hex) {
    throw refusal(`${source.name} is not what its digest says`, 'fetch it again');
  }
  return source;
}

async function parse<Schema extends z.ZodType>(source: ByteSource, schema: Schema, signal: AbortSignal): Promise<z.infer<Schema>> {
  if (source.sizeBytes > MOST_JSON_BYTES) throw refusal(`${shown(source.name)} is too long`);
  const chunks: Buffer[] = [];
  for await (const chunk of source.open(signal)) chunks.push(chunk);
  try {
    // Go writes what is not there as null.
    return schema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8'), (_name, value: unknown) => value ?? undefined));
  } catch (error) {
    const problem = error instanceof z.ZodError ? `${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}` : 'it is not JSON';
    throw refusal(`${shown(source.name)} cannot be understood: ${problem}`);
  }
}
