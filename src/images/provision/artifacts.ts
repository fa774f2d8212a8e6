import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parse } from 'smol-toml';
import { z } from 'zod';
import type { Host } from '../../host/host.ts';
import { BangerError } from '../../model/errors.ts';
import { messageOf } from '../../lib/message-of.ts';

const artifactSchema = z.union([
  z.strictObject({
    npm: z.string().regex(/^(@[a-z0-9-]+\/)?[a-z0-9._-]+$/),
    version: z.string().regex(/^\d[0-9A-Za-z.+-]*$/),
    integrity: z.string().regex(/^sha512-[A-Za-z0-9+/]{86}==$/),
  }),
  z.strictObject({ git: z.string().regex(/^[\w.-]+\/[\w.-]+$/), version: z.string().regex(/^[0-9a-f]{40}$/) }),
]);

/** A pinned file from outside the distribution. */
export type Artifact = z.output<typeof artifactSchema>;

/** @param text of artifacts.toml. @throws z.ZodError, TomlError: the file is part of the program */
export function parseArtifacts(text: string): Record<string, Artifact> {
  return z.record(z.string(), artifactSchema).parse(parse(text));
}

export type FetchOptions = {
  host: Host;
  /** Keeps downloads, by content. */
  cacheDirectory: string;
  /** Undefined: the setting of the user's npm. */
  npmRegistry: string | undefined;
  /** The prefix of `owner/name` of a git repository. */
  gitMirror: string;
  signal: AbortSignal;
  onLine: (line: string) => void;
};

/**
 * Downloads an artifact with the host's own clients, which know its mirrors, proxies and certificates.
 * @returns the path of its archive, whose content matches the pin
 * @throws PREREQUISITE_MISSING without the client, DOWNLOAD_FAILED
 */
export async function fetchArtifact(name: string, artifact: Artifact, options: FetchOptions): Promise<string> {
  const { host, cacheDirectory, signal } = options;
  const path = join(cacheDirectory, `${name}-${artifact.version}`);
  if (await host.exists(path)) {
    if ('git' in artifact || (await integrityOf(path, signal)) === artifact.integrity) return path;
    await host.removeTree(path);
  }
  const work = `${path}.partial`;
  await host.removeTree(work);
  await host.makePrivateDirectory(work);
  try {
    const archive = 'npm' in artifact ? await packNpm(artifact, work, options) : await archiveGit(artifact, work, options);
    await rename(archive, path);
    return path;
  } finally {
    await host.removeTree(work);
  }
}

type NpmArtifact = Extract<Artifact, { npm: string }>;
type GitArtifact = Extract<Artifact, { git: string }>;

async function packNpm({ npm, version, integrity }: NpmArtifact, work: string, options: FetchOptions): Promise<string> {
  const registry = options.npmRegistry === undefined ? [] : ['--registry', options.npmRegistry];
  const argv = ['npm', 'pack', '--json', '--ignore-scripts', ...registry, '--pack-destination', work, `${npm}@${version}`];
  const { stdout } = await runClient(argv, `${npm} ${version}`, 'provision.npm_registry', work, options);
  const [packed] = z.array(z.object({ filename: z.string() })).parse(Object.values(JSON.parse(stdout) as object));
  const archive = join(work, (packed?.filename ?? '').replace(/^@/, '').replaceAll('/', '-'));
  const actual = await integrityOf(archive, options.signal);
  if (actual === integrity) return archive;
  throw new BangerError('DOWNLOAD_FAILED', `${npm} ${version} has the wrong content: its integrity is ${actual}, not ${integrity}`, {
    remedy: "check npm's registry (npm config get registry); nothing was changed",
    details: { expected: integrity, actual },
  });
}

/** The commit is the hash of its content, and git verifies it. */
async function archiveGit({ git, version }: GitArtifact, work: string, options: FetchOptions): Promise<string> {
  const repository = join(work, 'repository');
  const archive = join(work, 'archive.tar');
  const inside = ['git', '-C', repository];
  const what = `${git} at ${version.slice(0, 12)}`;
  const run = (argv: string[]) => runClient(argv, what, 'provision.git_mirror', work, options);
  await run(['git', 'init', '--quiet', '--bare', repository]);
  await run([...inside, 'fetch', '--quiet', '--depth', '1', `${options.gitMirror.replace(/\/$/, '')}/${git}`, version]);
  await run([...inside, 'archive', '--format', 'tar', '--output', archive, version]);
  return archive;
}

async function runClient(argv: string[], what: string, setting: string, cwd: string, { host, signal, onLine }: FetchOptions) {
  try {
    return await host.run(argv, { cwd, signal, onLine, timeoutMs: 1_800_000 });
  } catch (error) {
    if (signal.aborted) throw error;
    const [program = ''] = argv;
    const reason = messageOf(error);
    if ((error as { startError?: string }).startError === 'ENOENT') {
      throw new BangerError('PREREQUISITE_MISSING', `${program}, which fetches ${what}, is not installed`, {
        remedy: `sudo apt-get install ${program}`,
        cause: error,
      });
    }
    throw new BangerError('DOWNLOAD_FAILED', `${what} could not be fetched: ${reason}`, {
      remedy: `try again, or name a mirror in config.toml (${setting})`,
      cause: error,
    });
  }
}

async function integrityOf(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha512');
  await pipeline(createReadStream(path, { highWaterMark: 1024 ** 2 }), hash, { signal });
  return `sha512-${hash.digest('base64')}`;
}
