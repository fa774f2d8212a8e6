// Makes what `banger/client` is: one module, and its types.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

/** @param root absolute path of the repository */
export async function buildClient(root: string): Promise<void> {
  const esbuild = await import('esbuild');
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: ['src/client/package.ts'],
    outfile: 'dist/client.mjs',
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
  });
  const types = join(root, 'dist/client');
  rmSync(types, { recursive: true, force: true });
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['--project', join(root, 'tools/client-types.json')], { stdio: 'inherit' });
}
