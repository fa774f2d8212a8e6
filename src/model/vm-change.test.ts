import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { vmRecord } from '../../test/support/daemon/vm-record.ts';
import { decideChange, type VmChangeRequest } from './vm-change.ts';
import type { VmState } from './vm-state.ts';
import type { Vm } from './vm.ts';

const GIB = 1024 ** 3;

function vm(state: VmState): Vm {
  const spec = { vcpuCount: 2, memoryMib: 1024, workDiskBytes: 8 * GIB, rootOverlayBytes: 10 * GIB, nat: true };
  return vmRecord({ state, spec });
}

const refusal = (code: string, text: RegExp) => (error: unknown) => {
  const { message, remedy } = error as { message: string; remedy?: string };
  assert.equal((error as { code: string }).code, code);
  assert.match(`${message}; ${remedy}`, text);
  return true;
};

describe('what may be changed', () => {
  test('of a stopped VM everything, and members that are left out stay (3.7)', () => {
    for (const state of ['stopped', 'error'] as const) {
      const { name, spec } = decideChange(vm(state), { vcpuCount: 4, memoryMib: 2048, workDiskBytes: 20 * GIB, name: 'shop' });
      assert.deepEqual(
        [name, spec],
        ['shop', { vcpuCount: 4, memoryMib: 2048, workDiskBytes: 20 * GIB, rootOverlayBytes: 10 * GIB, nat: true }],
      );
    }
  });

  test('of a running VM its name and its way to the outside; the rest is refused by the names of the flags (3.7)', () => {
    assert.equal(decideChange(vm('running'), { nat: false, name: 'shop' }).spec.nat, false);
    const request: VmChangeRequest = { vcpuCount: 4, memoryMib: 512, workDiskBytes: 9 * GIB, rootOverlayBytes: 11 * GIB };
    assert.throws(
      () => decideChange(vm('running'), request),
      refusal('WRONG_STATE', /running, and --vcpu, --memory, --disk-size, --system-overlay-size need.*nothing was changed.*vm stop web/),
    );
    assert.throws(() => decideChange(vm('running'), { nat: false, vcpuCount: 1 }), refusal('WRONG_STATE', /--vcpu needs it stopped/));
  });

  test('a value that it has already needs no stop (3.7)', () => {
    assert.equal(decideChange(vm('running'), { vcpuCount: 2, workDiskBytes: 8 * GIB, nat: false }).spec.nat, false);
  });

  test('no disk shrinks, and the refusal tells its size and the flag (3.7, 5.3)', () => {
    for (const state of ['stopped', 'running'] as const) {
      assert.throws(
        () => decideChange(vm(state), { workDiskBytes: 4 * GIB }),
        refusal('INVALID_INPUT', /has 8 GiB.*4 GiB.*--disk-size 8192M/),
      );
      assert.throws(
        () => decideChange(vm(state), { rootOverlayBytes: 4 * GIB }),
        refusal('INVALID_INPUT', /has 10 GiB.*overlay-size 10240M/),
      );
    }
  });

  test('a VM that is in between is not changed, and a bad name never (3.7)', () => {
    for (const state of ['creating', 'starting', 'stopping'] as const) {
      assert.throws(() => decideChange(vm(state), { nat: false }), refusal('WRONG_STATE', /wait/));
    }
    assert.throws(() => decideChange(vm('deleting'), { nat: false }), refusal('WRONG_STATE', /vm delete/));
    assert.throws(() => decideChange(vm('stopped'), { name: 'A_b' }), refusal('INVALID_INPUT', /name/));
  });
});
