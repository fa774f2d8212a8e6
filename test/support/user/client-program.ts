// A user's package that depends on the built one, with an example of docs/client.md as its program.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export const CHECKOUT = join(import.meta.dirname, '../../..');

/** @param number of the example on the page, from 0 */
export function clientExample(number: number): string {
  const page = readFileSync(join(CHECKOUT, 'docs/client.md'), 'utf8');
  const text = [...page.matchAll(/```js\n([^]*?)```/g)][number]?.[1];
  if (text === undefined) throw new Error(`docs/client.md has no example ${number}`);
  return text;
}

/** @returns the directory of the package, with main.mjs and main.ts; it is removed after the test */
export function clientProgram(t: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-client-'));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'node_modules/@types'), { recursive: true });
  symlinkSync(CHECKOUT, join(directory, 'node_modules/banger'));
  symlinkSync(join(CHECKOUT, 'node_modules/@types/node'), join(directory, 'node_modules/@types/node'));
  symlinkSync(join(CHECKOUT, 'node_modules/zod'), join(directory, 'node_modules/zod'));
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  for (const name of ['main.mjs', 'main.ts']) writeFileSync(join(directory, name), text);
  return directory;
}
