// The root file system of a machine with runit as its init, made from the distribution's own packages.
import { createHash } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { realHost } from '../../../src/host/host.ts';
import { installPackages, packageOrigin } from '../../../src/images/bundle/root-packages.ts';
import { createStepCache } from '../../../src/images/bundle/step-cache.ts';
import { resolveDirectories } from '../../../src/lib/directories.ts';

const PACKAGES = ['runit-init', 'openssh-server', 'iproute2', 'procps'];

/** What the first stage saw, before any service. */
export const SEEN_AT_BOOT = '/run/seen-at-boot';
/** While this file exists, the first stage does not end. */
export const HOLDS_BOOT = '/etc/hold-boot';
/** Of the service `hello`. */
export const HELLO_PORT = 8080;

/**
 * The whole first stage. Debian's runit uses it instead of all of /etc/rcS.d if it exists (runit(8), /etc/runit/1). Those scripts
 * prepare real machines; the agent has done that already, and under emulation they take more than a minute.
 */
const FILES: Readonly<Record<string, string>> = {
  'etc/runit/native.boot.run': '',
  'etc/runit/boot-run/10-look.sh': `{ hostname; cat /etc/hosts /etc/resolv.conf /root/.ssh/authorized_keys; ip -4 -o addr show eth0; grep ' /root ' /proc/mounts; } > ${SEEN_AT_BOOT}\n`,
  'etc/runit/boot-run/20-hold.sh': `while [ -e ${HOLDS_BOOT} ]; do sleep 0.2; done\n`,
  // Scripts of System V that Debian's second stage would run besides its own services.
  'etc/runit/no.emulate.sysv': '',
  'etc/sv/hello/run': `#!/bin/sh
exec perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => ${HELLO_PORT}, Listen => 5) or die; while ($c = $s->accept) { print $c "hello\\n"; close $c }'
`,
};

/** @returns path of a tar that is kept for the next time; made in half a minute */
export async function runitRoot(): Promise<string> {
  const origin = await packageOrigin(realHost);
  const key = createHash('sha256')
    .update(JSON.stringify([PACKAGES, origin, FILES]))
    .digest('hex');
  const cacheDirectory = join(resolveDirectories(process.env, homedir(), process.getuid?.() ?? 0).cacheDirectory, 'test-roots');
  await mkdir(cacheDirectory, { recursive: true });
  const signal = AbortSignal.timeout(900_000);
  const cache = createStepCache({ cacheDirectory, host: realHost, signal, force: false, onStage: () => undefined });
  const scripts = join(import.meta.dirname, '../../..', 'images', 'debian');
  const request = { origin, packages: PACKAGES, scripts, sourceDateEpoch: 1_767_225_600, userId: process.getuid?.() ?? 0 };
  const apply = async (directory: string): Promise<void> => {
    await installPackages(request, directory, realHost, { signal, onLine: () => undefined });
    await addFiles(directory);
  };
  const { outputs } = await cache.run({ name: 'runit', key, outputs: ['root.tar'], apply });
  return outputs['root.tar']?.path ?? '';
}

async function addFiles(directory: string): Promise<void> {
  const tree = join(directory, 'added');
  for (const [name, text] of Object.entries(FILES)) {
    await mkdir(join(tree, name, '..'), { recursive: true });
    await writeFile(join(tree, name), text, { mode: name.endsWith('/run') ? 0o755 : 0o644 });
  }
  await mkdir(join(tree, 'etc/runit/runsvdir/default'), { recursive: true });
  await symlink('/etc/sv/hello', join(tree, 'etc/runit/runsvdir/default/hello'));
  await realHost.run(['tar', '--append', '--owner=0', '--group=0', '-C', tree, '-f', join(directory, 'root.tar'), './etc']);
}
