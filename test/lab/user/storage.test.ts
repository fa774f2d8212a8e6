// The contract suite of storage on real file systems: clones on XFS, the others on ext4.
import '../../support/machine/in-lab.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storageConformance } from '../../../src/drivers/storage/conformance.ts';
import { createCopyStorage } from '../../../src/drivers/storage/copy/driver.ts';
import { createQcow2Storage } from '../../../src/drivers/storage/qcow2/driver.ts';
import { createReflinkStorage } from '../../../src/drivers/storage/reflink/driver.ts';
import { realHost } from '../../../src/host/host.ts';
import { firstFailure } from '../../../src/model/finding.ts';

const XFS = '/scratch/xfs';
const EXT4 = '/scratch/ext4';
const reflinkIn = (directory: string) => createReflinkStorage({ host: realHost, directory });

test('clones are found to work on XFS and not on ext4 (5.1)', async () => {
  assert.equal(firstFailure(await reflinkIn(XFS).checks()), undefined);
  assert.notEqual(firstFailure(await reflinkIn(EXT4).checks()), undefined);
});

// The suite works in the temporary directory.
process.env['TMPDIR'] = XFS;
storageConformance('reflink', realHost, (host) => createReflinkStorage({ host, directory: XFS }));
storageConformance('copy', realHost, (host) => createCopyStorage({ host }));
storageConformance('qcow2', realHost, (host) => createQcow2Storage({ host }));
