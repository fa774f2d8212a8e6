// Images of services as users have them: mmdebstrap and buildah, two independent tools, build them from Debian's packages.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Recipe = {
  /** Debian packages on top of its smallest system; if absent, the image has only `files` and `run`. */
  packages?: readonly string[];
  /** The base image; default: the one with the packages. */
  from?: 'scratch';
  /** Shell commands in an image with the packages; their `/out` becomes the image. */
  out?: string;
  /** Text by path. */
  files?: Readonly<Record<string, string>>;
  /** Flags of buildah-config(1). */
  config: readonly string[];
};

/** Builds images and keeps them. */
export type ImageBuilder = {
  directory: string;
  /** Flags of buildah and podman that name their storage. */
  store: readonly string[];
  /** @returns the path of an OCI layout that contains the image under its name */
  build(name: string, recipe: Recipe): string;
  /** Unmounts and removes everything that it made. */
  close(): void;
};

/** Runs external programs in a directory, and buildah with all its containers there. */
function makeBuildah(directory: string) {
  const store = ['--root', join(directory, 'store'), '--runroot', join(directory, 'run'), '--storage-driver', 'overlay'];
  const run = (program: string, ...args: string[]): string =>
    execFileSync(program, args, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 1024 ** 2 }).trim();
  const buildah = (...args: string[]): string => run('buildah', ...store, ...args);
  const containers = new Set<string>();
  const end = (container: string): void => {
    buildah('rm', container);
    containers.delete(container);
  };
  return {
    store,
    run,
    buildah,
    isBuilt: (image: string): boolean => buildah('images', '-q', '--filter', `reference=localhost/${image}`) !== '',
    begin: (image: string): string => {
      const container = buildah('from', image);
      containers.add(container);
      return container;
    },
    /** Runs a command in a container; packages that apt fetches are kept for the next one. */
    inside: (container: string, ...command: string[]): string =>
      buildah(
        'run',
        '--user',
        'root',
        '--isolation',
        'chroot',
        '-v',
        `${join(directory, 'packages')}:/var/cache/apt/archives`,
        container,
        '--',
        ...command,
      ),
    commit: (container: string, image: string): void => {
      buildah('commit', '-q', container, image);
      end(container);
    },
    end,
    endAll: () => containers.forEach(end),
  };
}

type Buildah = ReturnType<typeof makeBuildah>;

/** @returns the name of an image with Debian's smallest system and these packages */
function withPackages({ isBuilt, begin, buildah, inside, commit, run }: Buildah, packages: readonly string[]): string {
  if (!isBuilt('base')) {
    run('mmdebstrap', '--variant=minbase', '--include=ca-certificates,iproute2', 'bookworm', 'base.tar');
    const container = begin('scratch');
    buildah('add', container, 'base.tar', '/');
    inside(container, 'apt-get', 'update', '-qq');
    commit(container, 'base');
  }
  const image = `packages-${createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 12)}`;
  if (packages.length === 0) return 'base';
  if (isBuilt(image)) return image;
  const container = begin('base');
  inside(container, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-qq', '--no-install-recommends', ...packages);
  commit(container, image);
  return image;
}

/** Needs root for its mounts. @param kept directory that keeps layers for the next run; default: a temporary one */
export function makeImageBuilder(kept?: string): ImageBuilder {
  const directory = kept ?? mkdtempSync(join(tmpdir(), 'bgr-images-'));
  for (const name of ['packages', 'sources']) mkdirSync(join(directory, name), { recursive: true });
  const tools = makeBuildah(directory);
  const { store, buildah, begin, inside, end, commit } = tools;
  return {
    directory,
    store,
    build(name, { packages = [], from, out, files = {}, config }) {
      const container = begin(from ?? withPackages(tools, packages));
      if (out !== undefined) {
        const maker = begin(withPackages(tools, packages));
        inside(maker, 'sh', '-eux', '-c', `mkdir /out; ${out}`);
        buildah('add', '--from', maker, container, '/out', '/');
        end(maker);
      }
      const sources = join(directory, 'sources', name);
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(join(sources, path, '..'), { recursive: true });
        writeFileSync(join(sources, path), text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
      }
      if (existsSync(sources)) buildah('add', container, sources, '/');
      buildah('config', '--entrypoint', '[]', '--cmd', '', ...config, container);
      commit(container, `made-${name}`);
      const layout = join(directory, `${name}.oci`);
      rmSync(layout, { recursive: true, force: true });
      buildah('push', '-q', `made-${name}`, `oci:${layout}:${name}`);
      return layout;
    },
    close() {
      tools.endAll();
      if (kept !== undefined) return;
      buildah('rmi', '--all', '--force');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
