// A runtime bundle that an administrator provides to all users: they can read it but not change it, and cannot read its private key.
import { existsSync, linkSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** @returns the bundle that tests use: BANGER_BUNDLE, or the one of the checkout; undefined if there is neither */
export function bundleOfTests(): string | undefined {
  const directory = process.env['BANGER_BUNDLE'] ?? join(import.meta.dirname, '../../..', 'runtime');
  return existsSync(join(directory, 'bundle.json')) ? directory : undefined;
}

/** Fills `directory` with links to the same files, which take no space and keep their permissions. */
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
