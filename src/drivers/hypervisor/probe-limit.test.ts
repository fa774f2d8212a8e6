import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, realHost } from '../../host/host.ts';
import { probeSpeed } from './firecracker/speed-probe.ts';
import { boundProbe } from './probe-limit.ts';
import { learnAcceleration } from './qemu/acceleration.ts';

test('a probe that loops is ended by the kernel, whoever started it (4.3, 9.5)', async () => {
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
