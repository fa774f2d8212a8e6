// A runtime bundle as an administrator leaves it for all users: theirs to read, not to change, its private key not even that.
import { existsSync, linkSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** @returns the bundle that tests use: BANGER_BUNDLE, or the one of the checkout; undefined when neither is there */
export function bundleOfTests(): string | undefined {
  const directory = process.env['BANGER_BUNDLE'] ?? join(import.meta.dirname, '../../..', 'runtime');
  return existsSync(join(directory, 'bundle.json')) ? directory : undefined;
}

/** Makes `directory` hold the same files by links, which cost no space, with the rights that they have. */
export function shareBundle(source: string, directory: string): void {
  mkdirSync(directory, { mode: 0o755 });
  for (const { name } of readdirSync(source, { withFileTypes: true }).filter((entry) => entry.isFile())) {
    const [from, to] = [join(source, name), join(directory, name)];
    try {
      linkSync(from, to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
      symlinkSync(from, to);
    }
  }
}
