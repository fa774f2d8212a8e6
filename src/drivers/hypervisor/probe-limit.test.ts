import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, realHost } from '../../host/host.ts';
import { probeSpeed } from './firecracker/speed-probe.ts';
import { boundProbe } from './probe-limit.ts';
import { learnAcceleration } from './qemu/acceleration.ts';
import { SPEED_PROBE_STATUS } from './qemu/probe-programs.ts';

test('the kernel ends a probe that loops, even if its parent is gone (4.3, 9.5)', async () => {
  const { stdout } = await realHost.run(boundProbe(['sh', '-c', 'ulimit -t']));
  const seconds = Number(stdout);
  assert.ok(seconds > 0 && seconds <= 60, stdout);
});

test('every probe of QEMU and Firecracker is bound (4.3, 9.5)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const started: string[] = [];
  const host: Host = {
    ...realHost,
    readWriteProblem: () => Promise.resolve(undefined),
    run: (argv) => {
      started.push(argv.slice(0, 3).join(' '));
      return Promise.reject(new Error('it was not started'));
    },
  };
  await learnAcceleration(host, '/qemu', join(directory, 'cache'));
  await probeSpeed(host, '/firecracker', directory);
  const ends = started.map((words) => /^prlimit --cpu=\d+ (\S+)$/.exec(words)?.[1]);
  assert.deepEqual(ends, ['/qemu', '/qemu', '/qemu', '/firecracker']);
});

test('KVM that is slow in one run alone, because the host is busy, is found to be fast (4.3)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true }));
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const runsMs = { kvm: [700, 900, 30], tcg: [25, 300, 25] };
  const host: Host = {
    ...realHost,
    readWriteProblem: () => Promise.resolve(undefined),
    run: (argv) => {
      now += runsMs[argv.join(' ').includes('accel=kvm') ? 'kvm' : 'tcg'].shift() ?? 0;
      return Promise.reject(Object.assign(new Error('status'), { outcome: { exitCode: SPEED_PROBE_STATUS } }));
    },
  };
  const { kvm } = await learnAcceleration(host, '/qemu', join(directory, 'cache'));
  assert.deepEqual([kvm.level, kvm.reason], ['pass', 'KVM works: a test program took 30 ms with KVM and 25 ms without']);
});
