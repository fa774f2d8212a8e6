import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKvmFast, judgeKvm } from './acceleration.ts';
import { judgeProgram } from './checks.ts';
import { preferExact, tscKhzFrom } from './clock-probe.ts';

test('KVM counts as usable only when it runs a kernel about as fast as the hardware (4.3)', () => {
  assert.equal(isKvmFast({ kvmMs: 30, tcgMs: 28 }), true);
  assert.equal(isKvmFast({ kvmMs: 110, tcgMs: 25 }), true, 'noise on a busy host');
  assert.equal(isKvmFast({ kvmMs: 300, tcgMs: 200 }), true);
  assert.equal(isKvmFast({ kvmMs: 608, tcgMs: 24 }), false, 'paravirtual KVM');
  assert.equal(isKvmFast({ tcgMs: 24 }), false, 'never ended');
  assert.equal(isKvmFast({ kvmMs: 500 }), false);
});

test('each way of not having KVM has its own remedy (4.3)', () => {
  assert.match(judgeKvm({ problem: 'ENOENT', hasCpuFlag: true }).remedy ?? '', /modprobe/);
  assert.match(judgeKvm({ problem: 'ENOENT', hasCpuFlag: false }).remedy ?? '', /firmware/);
  assert.match(judgeKvm({ problem: 'EACCES', hasCpuFlag: true }).remedy ?? '', /usermod -aG kvm/);
  const paravirtual = judgeKvm({ probe: { kvmMs: 608, tcgMs: 24 }, hasCpuFlag: false });
  assert.equal(paravirtual.level, 'warn');
  assert.match(paravirtual.reason, /paravirtual.*608 ms.*24 ms/);
  assert.equal(judgeKvm({ probe: { kvmMs: 30, tcgMs: 28 }, hasCpuFlag: false }).level, 'pass', 'flags are hints only');
});

test('a missing or old QEMU fails the check with the package to install (9.3)', () => {
  assert.equal(judgeProgram('qemu', undefined).level, 'fail');
  assert.equal(judgeProgram('qemu', 'QEMU emulator version 5.2.0').level, 'fail');
  assert.equal(judgeProgram('qemu', 'QEMU emulator version 7.2.22 (Debian)').level, 'pass');
  assert.match(judgeProgram('qemu', '').reason ?? '', /does not say its version/);
});

test('the TSC frequency is that of cpuinfo only when the measurement agrees (4.2)', () => {
  const reading = (ticks: number, atMs: number): { ticks: number; atMs: number; doubtMs: number } => ({ ticks, atMs, doubtMs: 0.1 });
  assert.equal(tscKhzFrom(reading(1000, 0), reading(2_600_001_000, 1000)), 2_600_000);
  assert.equal(preferExact(2_600_100, 'cpu MHz\t\t: 2599.998\n'), 2_599_998);
  assert.equal(preferExact(2_600_100, 'cpu MHz\t\t: 3900.000\n'), 2_600_100, 'a boosted core');
  assert.equal(preferExact(2_600_100, ''), 2_600_100);
});

test('on a host where starting QEMU takes long, KVM has as long as it may take to count as fast (4.3)', () => {
  assert.match(
    judgeKvm({ probe: { tcgMs: 900 }, hasCpuFlag: true }).reason ?? '',
    /more than 1800 ms or failed with KVM and 900 ms without/,
  );
  assert.match(judgeKvm({ probe: { tcgMs: 60 }, hasCpuFlag: true }).reason ?? '', /more than 1000 ms or failed with KVM/);
});
