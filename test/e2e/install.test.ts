// An installation as users have it: root's, read-only, with the bundle in it and no checkout in sight.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { realHost } from '../../src/host/host.ts';
import { bundleStatus } from '../../src/images/bundle/bundle-status.ts';
import { useSandbox } from '../support/machine/e2e.ts';
import { REPOSITORY, runTool } from '../support/user/installed.ts';
import { bundleOfTests, shareBundle } from '../support/images/shared-bundle.ts';

const directory = mkdtempSync(join(tmpdir(), 'bgr-install-'));

/**
 * In a mount namespace of the commands: the installed tree read-only in the place of /opt, and nothing in the place of the checkout.
 */
const HIDE = `
mount --bind "$1" /opt
mount -o remount,ro,bind /opt
mount -t tmpfs -o size=1m,mode=0755 none "$2"
shift 2
exec "$@"
`;

const isRoot = process.getuid?.() === 0;

const sandbox = useSandbox(() => {
  runTool(['make', 'install', `DESTDIR=${directory}`, 'PREFIX=/opt']);
  shareBundle(bundleOfTests() ?? '', join(directory, 'opt/lib/banger/bundle'));
  // 2.4: beside the installed program.
  runTool(['sh', '-c', 'mv bundle/* . && rmdir bundle && chmod 755 .'], join(directory, 'opt/lib/banger'));
  const hide = ['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-ec', HIDE, 'sh', join(directory, 'opt'), REPOSITORY];
  return { commandPrefix: hide, env: { BANGER_BUNDLE: '', PATH: '/usr/bin:/bin' }, program: '/opt/bin/banger' };
});

// After the sandbox is closed, which needs the program.
after(() => rmSync(directory, { recursive: true, force: true }));

test(
  'vm create works for another user from a read-only prefix, with the checkout gone (2.4, 2.6)',
  { skip: isRoot ? false : 'only root can make a read-only tree of root, and hide the checkout' },
  async () => {
    const status = await sandbox().must(['bundle', 'status']);
    assert.match(status, /^directory: +\/opt\/lib\/banger$/m);
    const here = { places: { env: bundleOfTests() ?? '', besideProgram: '/', checkout: null }, sourceRoot: REPOSITORY, host: realHost };
    const { stale } = await bundleStatus(here);
    // The installation knows by what it brings what the checkout knows.
    assert.equal(/^state: +(.*)$/m.exec(status)?.[1], stale ? 'stale' : 'up to date');
    await sandbox().must(['vm', 'create', '--name', 'web']);
    const inside = await sandbox().must(['vm', 'exec', 'web', '--', 'sh', '-c', 'hostname; ls /root/.ssh/authorized_keys']);
    assert.equal(inside, 'web\n/root/.ssh/authorized_keys\n');
    assert.equal((await sandbox().must(['vm', 'ssh', 'web', '--', 'id -u'])).trim(), '0');
    const daemon = JSON.parse(await sandbox().must(['daemon', 'status', '-o', 'json'])) as { bundleDirectory: string };
    assert.equal(daemon.bundleDirectory, '/opt/lib/banger');
    await sandbox().must(['vm', 'delete', '--force', 'web']);
  },
);
