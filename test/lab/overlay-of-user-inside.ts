// Run by dm-snapshot.test.ts as an ordinary user: SOCKET DIRECTORY DIRECTORY-OF-ROOT.
import assert from 'node:assert/strict';
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createHelperClient } from '../../src/daemon/helper-client.ts';
import { createDmSnapshotStorage } from '../../src/drivers/storage/dm-snapshot/driver.ts';
import { realHost } from '../../src/host/host.ts';

const [socketPath = '', directory = '', rootDirectory = ''] = process.argv.slice(2);
const MIB = 1024 ** 2;
const never = new AbortController().signal;
const helper = createHelperClient(socketPath, 'STORAGE_FAILED');
const driver = createDmSnapshotStorage({ host: realHost, helper });
const overlay = { vmId: '00c0ffee'.padEnd(32, '0'), path: join(directory, 'overlay') };

await driver.root.create({ ...overlay, basePath: join(directory, 'base'), sizeBytes: 8 * MIB }, never);
const { path } = await driver.root.attach(overlay, never);
const { uid, mode } = statSync(path);
assert.deepEqual([uid, mode & 0o777], [1000, 0o600]);
const device = await open(path, 'r+');
await device.write('mine');
await device.sync();
await device.close();
assert.equal(readFileSync(path, 'latin1').slice(0, 6), 'mineuu');
// Above the file's beginning is the header of the snapshot's format; the image stays as it was.
assert.equal(readFileSync(join(directory, 'base'), 'latin1').slice(0, 4), 'uuuu');

const refused = (errno: string) => ({ code: 'STORAGE_FAILED', details: { errno } });
await assert.rejects(helper.ask('overlay status abcdef01'), refused('EPERM'));
await assert.rejects(helper.ask('overlay detach abcdef01'), refused('EPERM'));
assert.ok((await helper.ask('list')).every((line) => !line.includes('abcdef01')));

// Files that are root's alone cannot be had through the helper.
const other = { vmId: '00c0ffef'.padEnd(32, '0'), path: join(directory, 'other') };
await driver.root.create({ ...other, basePath: join(directory, 'base'), sizeBytes: 8 * MIB }, never);
writeFileSync(`${other.path}.origin`, `base=${encodeURIComponent(join(rootDirectory, 'base'))} size=${8 * MIB}\n`);
await assert.rejects(driver.root.attach(other, never), refused('EACCES'));
await driver.root.remove(other);

// Nor does another file take the place of the one in use.
const claims = /directory=(\S+)/.exec((await helper.ask('hello'))[0] ?? '')?.[1] ?? '';
writeFileSync(join(directory, 'strange'), Buffer.alloc(MIB));
await realHost.removeTree(join(claims, '00c0ffee/cow'));
symlinkSync(join(directory, 'strange'), join(claims, '00c0ffee/cow'));
await assert.rejects(driver.root.extend?.(overlay, 64 * MIB) ?? Promise.resolve(), refused('ESTALE'));

await driver.root.remove(overlay);
await assert.rejects(driver.root.usage?.(overlay) ?? Promise.resolve(), refused('ENOENT'));
