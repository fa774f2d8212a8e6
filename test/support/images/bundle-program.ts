import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseManifest } from '../../../src/images/bundle/manifest.ts';
import { bundlePath } from '../../../src/model/image.ts';
import { bundleOfTests } from './shared-bundle.ts';

/** @returns the path of a program in the runtime bundle, for tests on machines without a compiler */
export function bundleProgram(name: 'agent' | 'forwarder'): string {
  const directory = bundleOfTests();
  if (directory === undefined) throw new Error('there is no runtime bundle: make bundle, or set BANGER_BUNDLE');
  const path = join(directory, 'bundle.json');
  return bundlePath({ directory, manifest: parseManifest(readFileSync(path, 'utf8'), path) }, name);
}
