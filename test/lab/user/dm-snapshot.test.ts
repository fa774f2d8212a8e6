// Overlays of an ordinary user, whose helper root runs.
import '../../support/in-lab.ts';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHelperClient } from '../../../src/daemon/compose/helper-client.ts';
import { storageConformance } from '../../../src/drivers/storage/conformance.ts';
import { createDmSnapshotStorage } from '../../../src/drivers/storage/dm-snapshot/driver.ts';
import { realHost } from '../../../src/host/host.ts';

const directory = mkdtempSync('/var/tmp/bgr-dm-');
const socketPath = join(directory, 'socket');
const settings = join(directory, 'settings');
writeFileSync(settings, `allow ${process.getuid?.()}\n`);
await realHost.run(['sudo', 'chown', 'root', settings]);
const program = join(import.meta.dirname, '../../../helper/build/banger-helper');
const helper = spawn('sudo', [program, 'serve', socketPath, join(directory, 'run'), settings], { stdio: 'ignore' });
while (!existsSync(socketPath)) await sleep(20);

after(async () => {
  const ended = new Promise((resolve) => helper.on('exit', resolve));
  await realHost.run(['sudo', 'kill', String(helper.pid)]);
  await ended;
  await realHost.run(['sudo', 'rm', '-r', directory]);
});

storageConformance('dm-snapshot for an ordinary user', () =>
  createDmSnapshotStorage({ host: realHost, helper: createHelperClient(socketPath, 'STORAGE_FAILED') }),
);
