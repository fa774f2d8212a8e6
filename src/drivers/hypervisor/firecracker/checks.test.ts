import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fakeFirecracker, realFirecracker } from '../../../../test/support/vmm/firecracker/bench.ts';
import { realHost } from '../../../host/host.ts';
import { CommandFailure } from '../../../host/spawn.ts';
import { firstFailure } from '../../../model/finding.ts';
import { FirecrackerInstallation, judgeKvm, judgeProgram } from './checks.ts';

const fake = fakeFirecracker();
const real = realFirecracker();

test('Firecracker is there from 1.14 on (4.1)', () => {
  assert.equal(judgeProgram('firecracker', 'Firecracker v1.14.0').level, 'pass');
  assert.equal(judgeProgram('firecracker', 'Firecracker v2.0.0').level, 'pass');
  for (const printed of ['Firecracker v1.13.1', 'QEMU emulator version 7.2.22', '', undefined]) {
    const finding = judgeProgram('firecracker', printed);
    assert.equal(finding.level, 'fail');
    assert.match(finding.remedy ?? '', /bundle fetch firecracker/);
  }
});

test('KVM counts when Firecracker itself ran a loop on it at the speed of hardware (4.3)', () => {
  assert.equal(judgeKvm({ probe: { startMs: 25, loopMs: 3 }, hasCpuFlag: false }).level, 'pass', 'flags are hints only');
  assert.equal(judgeKvm({ probe: { startMs: 2000, loopMs: 300 }, hasCpuFlag: true }).level, 'pass', 'noise of an emulated host');
  assert.equal(judgeKvm({ probe: { startMs: 2000, loopMs: 4000 }, hasCpuFlag: true }).level, 'fail');
  const paravirtual = judgeKvm({ probe: { startMs: 25, loopMs: 1200 }, hasCpuFlag: false });
  assert.deepEqual([paravirtual.level, /paravirtual.*1200 ms/.test(paravirtual.reason)], ['fail', true]);
  assert.match(judgeKvm({ probe: { failure: 'ended with status 1' }, hasCpuFlag: true }).reason, /status 1/);
  assert.match(judgeKvm({ problem: 'EACCES', hasCpuFlag: true }).remedy ?? '', /usermod -aG kvm/);
});

test('accelerator = "kvm" is taken as said, "tcg" is what Firecracker has not (4.3)', async () => {
  assert.equal(firstFailure(await new FirecrackerInstallation(realHost, fake).check()), undefined);
  const emulated = new FirecrackerInstallation(realHost, { ...fake, accelerator: 'tcg' });
  assert.notEqual(firstFailure(await emulated.check()), undefined);
  await assert.rejects(emulated.locate(), { code: 'PREREQUISITE_MISSING' });
});

test('a missing Firecracker fails the check and the start, with a remedy (4.1)', async () => {
  const missing = new FirecrackerInstallation(realHost, { ...fake, program: '/nonexistent/firecracker' });
  assert.notEqual(firstFailure(await missing.check()), undefined);
  await assert.rejects(missing.locate(), { code: 'PREREQUISITE_MISSING', message: /not installed/ });
});

test('a program that does not do what Firecracker does fails the trial of KVM (4.3)', async () => {
  const { findings } = await new FirecrackerInstallation(realHost, { ...fake, accelerator: 'auto' }).check();
  assert.equal(firstFailure({ findings })?.name, 'firecracker.kvm');
});

test('a Firecracker that does not end in time fails the trial, and is named (4.3)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-probe-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const host = {
    ...realHost,
    readWriteProblem: () => Promise.resolve(undefined),
    run: (argv: readonly string[]) => {
      const outcome = { argv, exitCode: 0, signal: null, timedOut: false, cancelled: false, stdout: 'Firecracker v1.16.1\n', stderr: '' };
      return argv.includes('--version') ? Promise.resolve(outcome) : Promise.reject(new CommandFailure({ ...outcome, timedOut: true }));
    },
  };
  const settings = { program: process.execPath, accelerator: 'auto', probeCachePath: join(directory, 'probe.json') } as const;
  const { findings } = await new FirecrackerInstallation(host, settings).check();
  assert.match(firstFailure({ findings })?.reason ?? '', /Firecracker took more than 30000 ms/);
  assert.equal(existsSync(settings.probeCachePath), false, 'the reason may pass');
});

test('with and without a jail at once, one trial runs, and neither removes the files of the other (4.3)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-probe-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const trials: string[] = [];
  let underway = 0;
  const host = {
    ...realHost,
    readWriteProblem: () => Promise.resolve(undefined),
    run: async (argv: readonly string[]) => {
      const outcome = { argv, exitCode: 0, signal: null, timedOut: false, cancelled: false, stdout: 'Firecracker v1.16.1\n', stderr: '' };
      const config = argv[argv.indexOf('--config-file') + 1];
      if (argv.includes('--version') || config === undefined) return outcome;
      underway++;
      await sleep(10);
      trials.push(`${underway} underway, config ${existsSync(config) ? 'there' : 'gone'}`);
      underway--;
      return outcome;
    },
  };
  const settings = { program: process.execPath, accelerator: 'auto', probeCachePath: join(directory, 'probe.json') } as const;
  const checks = await Promise.all([1, 2, 3].map(() => new FirecrackerInstallation(host, settings).check()));
  assert.deepEqual(new Set(trials), new Set(['1 underway, config there']));
  for (const { findings } of checks) assert.deepEqual(findings, checks[0]?.findings);
});

test(
  'the real one is tried once on this host, and the answer is kept (4.3)',
  {
    skip: real === undefined ? 'BANGER_FIRECRACKER does not name a Firecracker' : false,
  },
  async () => {
    let runs = 0;
    const host = {
      ...realHost,
      run: (...given: Parameters<typeof realHost.run>) => {
        runs++;
        return realHost.run(...given);
      },
    };
    const installation = new FirecrackerInstallation(host, { ...fake, program: real?.program ?? '', accelerator: 'auto' });
    const first = await installation.check();
    const before = runs;
    assert.deepEqual(await installation.check(), first);
    assert.equal(runs, before, 'nothing is run again');
    assert.match(first.findings.at(-1)?.reason ?? '', /rounds of a loop took \d+ ms|Firecracker took more than \d+ ms|dev\/kvm/);
  },
);
