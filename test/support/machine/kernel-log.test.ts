import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintsOf } from './kernel-log.ts';

const LOG = `[    1.000000] BUG: of a test before
[   10.500000] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [swapper/1:0]
[   10.500001] CPU: 1 PID: 0 Comm: swapper/1 Not tainted 6.1.0
[   11.000000] BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!
[   12.000000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks: { 1-...D }
[   13.000000] clocksource: timekeeping watchdog on CPU0: WARNING: Marking clocksource 'tsc' as unstable
[   20.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000
[   21.000000] WARNING: CPU: 0 PID: 1 at kernel/x.c:1 y+0x1/0x2
[   22.000000] Buffer I/O error on dev dm-3, logical block 0, async page read
[   24.000000] device-mapper: snapshots: Invalidating snapshot: Unable to allocate exception.
[   25.000000] eth0: link becomes ready`;

test('a kernel that its busy host held up has no fault of its own, and one with a fault is heard (9.5)', () => {
  const times = complaintsOf(LOG, 5).map((line) => /\d+/.exec(line)?.[0]);
  assert.deepEqual(times, ['20', '21', '22', '24']);
  assert.deepEqual(complaintsOf(LOG, 100), []);
});
