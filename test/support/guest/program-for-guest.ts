// Programs of the host for a guest without packages of its own. They bring their libraries and loader, so that any host's program runs.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Sandbox } from '../machine/sandbox.ts';

const THERE = '/usr/local/lib/of-host';

/**
 * Puts programs of this machine into `/usr/local/bin` of a guest.
 * @param names of programs, found on the PATH
 */
export async function giveGuest(sandbox: Sandbox, vm: string, names: readonly string[]): Promise<void> {
  const directory = join(sandbox.directory, 'home', 'programs');
  mkdirSync(join(directory, 'bin'), { recursive: true });
  mkdirSync(join(directory, 'lib'));
  for (const name of names) {
    const program = execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    const libraries = [...execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? '');
    for (const path of [program, ...libraries]) {
      const target = join(directory, 'lib', basename(path));
      if (!existsSync(target)) copyFileSync(path, target);
    }
    const loader = libraries.find((path) => basename(path).startsWith('ld-linux')) ?? '';
    const line = `exec ${THERE}/${basename(loader)} --library-path ${THERE} ${THERE}/${name} "$@"`;
    writeFileSync(join(directory, 'bin', name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  }
  await sandbox.must(['vm', 'cp', join(directory, 'lib'), `${vm}:${THERE}`]);
  for (const name of names) await sandbox.must(['vm', 'cp', join(directory, 'bin', name), `${vm}:/usr/local/bin/${name}`]);
}
