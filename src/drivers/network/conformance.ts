// The promises of every network driver. Unit tests run it on the fake, test/e2e on the real drivers.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import { addressesOf } from '../../model/network.ts';
import type { Machine } from '../hypervisor/contract.ts';
import type { NetworkDriver, NetworkVm } from './contract.ts';

export type NetworkSubject = {
  /** @returns a driver on the state that the previous one left, as after a restart of the daemon */
  open(): NetworkDriver;
  /** For drivers that forward through the VMM. */
  machine: Machine;
  /** @returns names of everything that exists on the host for VMs, e.g. TAPs; empty if nothing is left */
  remains(): Promise<string[]>;
};

const never = (): AbortSignal => new AbortController().signal;

function vmOf(index: number, nat = true): NetworkVm {
  return { shortId: index.toString(16).padStart(8, '0'), addresses: addressesOf(index), nat };
}

/** Declares the suite. @param subject the driver under test; its state is empty before and after */
export function networkConformance(name: string, subject: NetworkSubject): void {
  describe(`network driver ${name}`, () => {
    after(() => subject.open().sweep([]));
    attachmentTests(subject);
    natTests(subject);
    forwardTests(subject);
    placedTests(subject);
    recoveryTests(subject);
  });
}

function attachmentTests(subject: NetworkSubject): void {
  test('ensure may be called again and at the same time (6.1)', async () => {
    const driver = subject.open();
    await Promise.all([driver.ensure(never()), driver.ensure(never())]);
    await driver.ensure(never());
  });

  test('a cancelled ensure and attach say so and leave nothing (6.1)', async () => {
    const driver = subject.open();
    const isCancelled = (error: unknown): boolean => error instanceof BangerError && error.code === 'CANCELLED';
    await assert.rejects(driver.ensure(AbortSignal.abort()), isCancelled);
    await assert.rejects(driver.attach(vmOf(9), AbortSignal.abort()), isCancelled);
    assert.deepEqual(await subject.remains(), []);
  });

  test('an attachment names a MAC of the VM and an address in its subnet (6.1)', async () => {
    const driver = subject.open();
    await driver.ensure(never());
    const attachment = await driver.attach(vmOf(2), never());
    assert.notEqual(attachment.network.kind, 'none');
    if (attachment.network.kind === 'tap') {
      assert.equal(attachment.network.tapName, 'bgr-00000002');
      assert.equal(attachment.guest.address, '10.213.0.2');
    }
    assert.notEqual(attachment.guest.gateway, null);
    assert.equal(attachment.guest.nameservers.length, 1);
    await driver.detach(vmOf(2));
    assert.deepEqual(await subject.remains(), []);
  });

  test('a VM without NAT gets no gateway and no name server (6.1)', async () => {
    const driver = subject.open();
    const { guest } = await driver.attach(vmOf(3, false), never());
    assert.equal(guest.gateway, null);
    assert.deepEqual(guest.nameservers, []);
    await driver.detach(vmOf(3));
  });

  test('many VMs attach and detach at the same time (6.1)', async () => {
    const driver = subject.open();
    const vms = [10, 11, 12, 13, 14, 15].map((index) => vmOf(index));
    const attachments = await Promise.all(vms.map((vm) => driver.attach(vm, never())));
    assert.equal(new Set(attachments.map((a) => (a.network.kind === 'none' ? '' : a.network.macAddress))).size, vms.length);
    await Promise.all(vms.map((vm) => driver.detach(vm)));
    assert.deepEqual(await subject.remains(), []);
  });

  test('detach tolerates a VM that was never attached, twice (3.4)', async () => {
    const driver = subject.open();
    await driver.detach(vmOf(99));
    await driver.detach(vmOf(99));
  });
}

function natTests(subject: NetworkSubject): void {
  if (subject.open().setNat === undefined) return;
  test('NAT is given and taken, repeatably, and the attachment stays (6.1)', async () => {
    const driver = subject.open();
    const vm = vmOf(3);
    await driver.attach(vm, never());
    const before = await subject.remains();
    for (const nat of [false, false, true, true]) await driver.setNat?.({ ...vm, nat });
    assert.deepEqual(await subject.remains(), before);
    await driver.detach(vm);
  });
}

function forwardTests(subject: NetworkSubject): void {
  test('each listener is answered once, at the VM’s address on the host (6.1)', async () => {
    const driver = subject.open();
    const vm = vmOf(4);
    await driver.attach(vm, never());
    const results = await driver.setForwards(
      vm,
      [
        { protocol: 'tcp', port: 5000 },
        { protocol: 'udp', port: 5000 },
        { protocol: 'tcp', port: 5000 },
      ],
      subject.machine,
    );
    assert.deepEqual(results, [
      { protocol: 'tcp', port: 5000, hostAddress: driver.addressOnHost(vm.addresses), hostPort: 5000 },
      { protocol: 'udp', port: 5000, hostAddress: driver.addressOnHost(vm.addresses), hostPort: 5000 },
    ]);
    assert.deepEqual(await driver.setForwards(vm, [], subject.machine), []);
    await driver.detach(vm);
  });

  test('a low port appears under its own number or a predictable one (6.1)', async () => {
    const driver = subject.open();
    const vm = vmOf(5);
    await driver.attach(vm, never());
    const both = [80, 8080].map((port) => ({ protocol: 'tcp' as const, port }));
    const [first] = await driver.setForwards(vm, [{ protocol: 'tcp', port: 80 }], subject.machine);
    assert.ok(first?.hostPort === 80 || first?.hostPort === 8080, JSON.stringify(first));
    const [low, real] = await driver.setForwards(vm, both, subject.machine);
    assert.equal(real?.hostPort, 8080);
    assert.ok(low?.hostPort === 80 || low?.hostPort === 8081, JSON.stringify(low));
    await driver.detach(vm);
  });
}

function placedTests(subject: NetworkSubject): void {
  if (subject.open().probeForward === undefined) return;
  test('a listener is where the user wants it, beside its own place, until it is wanted no more (6.1)', async () => {
    const driver = subject.open();
    const vm = vmOf(16);
    await driver.attach(vm, never());
    const own = { protocol: 'tcp' as const, port: 5100 };
    const placed = { ...own, at: { address: '127.0.0.1', port: 35_100 } };
    assert.equal(await driver.probeForward?.(vm, placed), undefined);
    const results = await driver.setForwards(vm, [own, placed], subject.machine);
    assert.deepEqual(results, [
      { ...own, hostAddress: driver.addressOnHost(vm.addresses), hostPort: 5100 },
      { ...placed, hostAddress: '127.0.0.1', hostPort: 35_100 },
    ]);
    assert.deepEqual(await driver.setForwards(vm, [own], subject.machine), results.slice(0, 1));
    assert.equal(await driver.probeForward?.(vm, placed), undefined, 'neither probe nor forward has left anything');
    await driver.detach(vm);
  });
}

function recoveryTests(subject: NetworkSubject): void {
  test('a new daemon finds what lives and goes on with it (9.5)', async () => {
    const vm = vmOf(6);
    const before = subject.open();
    const first = await before.attach(vm, never());
    await before.setForwards(vm, [{ protocol: 'tcp', port: 6000 }], subject.machine);
    const successor = subject.open();
    await successor.ensure(never());
    const [forward] = await successor.setForwards(vm, [{ protocol: 'tcp', port: 6000 }], subject.machine);
    assert.equal(forward?.hostPort, 6000);
    assert.deepEqual(await successor.attach(vm, never()), first);
    await successor.detach(vm);
  });

  test('sweep removes what belongs to no VM and keeps the rest (9.5)', async () => {
    const driver = subject.open();
    const [kept, lost] = [vmOf(7), vmOf(8)];
    const attachment = await driver.attach(kept, never());
    await driver.attach(lost, never());
    await driver.setForwards(lost, [{ protocol: 'tcp', port: 6001 }], subject.machine);
    await driver.sweep([kept]);
    const names = await subject.remains();
    assert.deepEqual(names, attachment.network.kind === 'tap' ? ['bgr-00000007'] : []);
    await driver.detach(kept);
  });

  test('sweep of no VM leaves nothing, and everything can be made again (9.5)', async () => {
    const driver = subject.open();
    await driver.attach(vmOf(7), never());
    await driver.sweep([]);
    assert.deepEqual(await subject.remains(), []);
    await driver.sweep([]);
    await driver.detach(vmOf(7));
    await driver.attach(vmOf(7), never());
    await driver.sweep([]);
  });
}
