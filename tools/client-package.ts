// Makes `banger/client`: one module and its types.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildIdentity } from './build.ts';

/** @param root absolute path of the repository */
export async function buildClient(root: string, { build, version }: BuildIdentity): Promise<void> {
  const esbuild = await import('esbuild');
  rmSync(join(root, 'dist/client'), { recursive: true, force: true });
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: { client: 'src/client/package.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // Code that starts programs is loaded on first use.
    splitting: true,
    chunkNames: 'client/[name]-[hash]',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    define: { BANGER_BUILD: JSON.stringify(build), BANGER_VERSION: JSON.stringify(version) },
    logLevel: 'warning',
  });
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['--project', join(root, 'tools/client-types.json')], { stdio: 'inherit' });
}
