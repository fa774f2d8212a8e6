// Container images: OCI layouts (image-spec: image-layout.md, image-index.md, manifest.md, config.md) and what `docker save` writes.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { execObstacle } from '../../model/limits.ts';
import type { Archive } from './archive.ts';
import type { ByteSource } from './bytes.ts';
import type { Layer } from './layers.ts';
import { refusal, shown } from './problem.ts';

/** What a container image says about how it is run. */
export type ContainerConfig = {
  entrypoint: string[];
  env: Record<string, string>;
  user: string | null;
  workdir: string | null;
};

export type ContainerImage = { layers: Layer[]; config: ContainerConfig };

/** Which of several images. */
export type Choice = { reference: string | undefined; architecture: string };

const MOST_JSON_BYTES = 4 * 1024 ** 2;
const MOST_LAYERS = 512;
/** An index may point to others; nobody nests them deeper. */
const MOST_DEPTH = 4;

const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'is no sha256 digest');
const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: digestSchema,
  size: z.number().int().nonnegative(),
  platform: z.object({ architecture: z.string(), os: z.string() }).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
type Descriptor = z.infer<typeof descriptorSchema>;
const indexSchema = z.object({ manifests: z.array(descriptorSchema).max(1000) });
const manifestSchema = z.object({ config: descriptorSchema, layers: z.array(descriptorSchema).max(MOST_LAYERS) });
const dockerManifestSchema = z.array(
  z.object({ Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()).max(MOST_LAYERS) }),
);
const words = z.array(z.string().max(131_072)).max(1024).nullish();
const configSchema = z.object({
  architecture: z.string().optional(),
  os: z.string().optional(),
  config: z
    .object({ Entrypoint: words, Cmd: words, Env: words, User: z.string().max(256).nullish(), WorkingDir: z.string().max(4096).nullish() })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(digestSchema) }),
});

/** @returns what the archive holds; undefined when it is no container image */
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
  const fitting = choice.reference === undefined ? images : images.filter((image) => tagsOf(image).includes(choice.reference ?? ''));
  const image = theOne(fitting, images.flatMap(tagsOf), choice);
  const config = await parse(await need(archive, image.Config), configSchema, signal);
  const sources = await Promise.all(image.Layers.map((name) => need(archive, name)));
  return imageOf(config, sources, choice);
}

async function readOci(archive: Archive, index: z.infer<typeof indexSchema>, choice: Choice, signal: AbortSignal): Promise<ContainerImage> {
  const nameOf = (one: Descriptor): string | undefined => one.annotations?.['org.opencontainers.image.ref.name'];
  const named = choice.reference === undefined ? index.manifests : index.manifests.filter((one) => nameOf(one) === choice.reference);
  const names = index.manifests.flatMap((one) => nameOf(one) ?? []);
  const descriptor = await choosePlatform(archive, named, names, choice, signal);
  const manifest = await parse(await blob(archive, descriptor, signal), manifestSchema, signal);
  const config = await parse(await blob(archive, manifest.config, signal), configSchema, signal);
  const sources: ByteSource[] = [];
  for (const layer of manifest.layers) sources.push(await blob(archive, layer, signal));
  return imageOf(config, sources, choice);
}

async function choosePlatform(
  archive: Archive,
  manifests: readonly Descriptor[],
  names: readonly string[],
  choice: Choice,
  signal: AbortSignal,
  depth = 0,
): Promise<Descriptor> {
  const runs = ({ platform }: Descriptor): boolean =>
    platform === undefined || (platform.os === 'linux' && platform.architecture === choice.architecture);
  const fitting = manifests.filter(runs);
  if (fitting.length === 0 && manifests.length > 0) {
    const there = manifests.map(({ platform }) => `${platform?.os}/${platform?.architecture}`).join(', ');
    throw refusal(`it is for ${shown(there)}, not for linux/${choice.architecture}`, 'fetch the image of this architecture');
  }
  const found = theOne(fitting, names, choice);
  if (!/(index|manifest\.list)/.test(found.mediaType)) return found;
  if (depth === MOST_DEPTH) throw refusal('its indexes are nested too deeply');
  const { manifests: inner } = await parse(await blob(archive, found, signal), indexSchema, signal);
  return choosePlatform(archive, inner, [], choice, signal, depth + 1);
}

function theOne<T>(fitting: readonly T[], names: readonly string[], { reference }: Choice): T {
  const [first] = fitting;
  if (first !== undefined && fitting.length === 1) return first;
  const known = names.length === 0 ? 'without a name' : names.map(shown).join(', ');
  if (first === undefined && reference !== undefined) throw refusal(`there is no ${shown(reference)} in it`, `it has ${known}`);
  if (first === undefined) throw refusal('there is no image in it');
  throw refusal(`it holds several images: ${known}`, 'choose one: --reference NAME');
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
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? [[name, line.slice(equals + 1)]] : [];
  });
  const entrypoint = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const obstacle = entrypoint.length === 0 ? undefined : execObstacle(entrypoint, Object.fromEntries(env));
  if (obstacle !== undefined) throw refusal(`what it runs ${obstacle}`);
  return {
    entrypoint,
    env: Object.fromEntries(env),
    user: config.User === undefined || config.User === '' ? null : config.User,
    workdir: config.WorkingDir === undefined || config.WorkingDir === '' ? null : config.WorkingDir,
  };
}

async function need(archive: Archive, name: string): Promise<ByteSource> {
  const found = await archive.file(name);
  if (found !== undefined) return found;
  throw refusal(`${shown(name)} is not in it`, 'write the archive again; layers that lie elsewhere are not fetched');
}

/** @throws INVALID_INPUT when it is missing or is not what its digest says */
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
    return schema.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  } catch (error) {
    const problem = error instanceof z.ZodError ? `${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}` : 'it is not JSON';
    throw refusal(`${shown(source.name)} cannot be understood: ${problem}`);
  }
}
