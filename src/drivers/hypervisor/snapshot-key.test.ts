import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences, processorOf } from './snapshot-key.ts';

const key = { format: 1, vmm: 'qemu', program: 'a', vcpuCount: 2, memoryMib: 1024, tscKhz: 2_100_000, devices: ['-m', 'size=1024M'] };

test('each member that differs, is new or is gone is told, with values where they say something (10.5)', () => {
  assert.deepEqual(differences(key, key), []);
  assert.deepEqual(differences(key, { ...key, memoryMib: 1025 }), ['the memory (MiB) changed from 1024 to 1025']);
  assert.deepEqual(differences(key, { ...key, program: 'b', devices: ['-m'] }), [
    "the VMM's program changed",
    'the devices of the machine changed',
  ]);
  const { vmm, ...without } = key;
  assert.deepEqual(differences(key, without), [`the VMM changed from ${vmm} to none`]);
  assert.deepEqual(differences(without, { ...without, novelty: 'x' }), ['novelty changed']);
});

test('a frequency that was measured again is the same, another processor is not (10.5)', () => {
  assert.deepEqual(differences(key, { ...key, tscKhz: 2_100_900 }), []);
  assert.match(differences(key, { ...key, tscKhz: 2_500_000 })[0] ?? '', /from 2100000 to 2500000/);
  const cpuinfo = 'processor\t: 0\nmodel name\t: Some CPU\nstepping\t: 3\nmicrocode\t: 0x1\n';
  assert.equal(processorOf(cpuinfo), 'Some CPU, 3, 0x1');
});
