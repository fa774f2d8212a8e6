import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knowsUsedPages } from './snapshot.ts';

const MAPS = `7f0000000000-7f0040000000 rw-p 00000000 00:00 0
7f0040000000-7f0040400000 r-xp 00000000 08:01 99 /usr/bin/firecracker
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0 [stack]
`;
const FILE = '7f0000000000-7f0040000000 rw-p 00000000 08:01 7 /var/lib/banger/vms/a/snapshot/memory';
const STATUS = 'VmRSS:\t  51200 kB\nVmSwap:\t       0 kB\n';

test('all memory is written of a machine whose memory began as a file, or is swapped out in part, and of others what they have used (10.4, 10.5)', () => {
  assert.ok(knowsUsedPages(MAPS, STATUS));
  assert.ok(!knowsUsedPages(`${MAPS}${FILE}\n`, STATUS));
  assert.ok(!knowsUsedPages(`${FILE} (deleted)\n${MAPS}`, STATUS));
  assert.ok(!knowsUsedPages(MAPS, STATUS.replace(' 0 kB', ' 4 kB')));
  assert.ok(!knowsUsedPages('', ''));
});
