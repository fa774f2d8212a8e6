import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tabulate } from './driver-table.ts';

const SWIFT = { name: 'swift', takes: { diskFormats: ['raw'], networks: ['tap'] } };
const BROAD = { name: 'broad', takes: { diskFormats: ['raw', 'qcow2'], networks: ['tap', 'user'] } };
const ANSWERS = {
  hypervisors: [
    {
      driver: SWIFT,
      checks: {
        accelerator: 'kvm' as const,
        findings: [
          { name: 'swift', level: 'pass' as const, reason: 'swift 1.0' },
          { name: 'kvm', level: 'fail' as const, reason: 'there is no /dev/kvm', remedy: 'get one' },
        ],
      },
    },
    {
      driver: BROAD,
      checks: {
        accelerator: 'tcg' as const,
        version: 'broad 2.0',
        findings: [{ name: 'kvm', level: 'warn' as const, reason: 'there is no /dev/kvm', remedy: 'get one' }],
        others: [{ accelerator: 'kvm' as const, usable: false, reason: 'there is no /dev/kvm', remedy: 'get one' }],
      },
    },
  ],
  networks: [
    {
      driver: { name: 'private', kind: 'tap' },
      checks: { findings: [{ name: 'network.private', level: 'pass' as const, reason: 'made and removed' }] },
    },
    {
      driver: { name: 'user', kind: 'user' },
      checks: { findings: [{ name: 'network.user', level: 'warn' as const, reason: 'VMs are alone', remedy: 'see' }] },
    },
  ],
  storages: [
    {
      driver: { name: 'qcow2', root: { format: 'qcow2' } },
      checks: { findings: [{ name: 'storage.qcow2', level: 'pass' as const, reason: 'works' }] },
    },
  ],
};

test('every driver has a row, a VMM one for each accelerator: usable or not, chosen, why, what mends it (9.3)', () => {
  const rows = tabulate(ANSWERS, { hypervisor: 'broad', network: 'private', storage: 'qcow2' });
  const short = rows.map(({ kind, name, accelerator, usable, chosen, reason, remedy }) =>
    [kind, name, accelerator, usable ? 'usable' : 'no', chosen ? 'chosen' : '-', reason, remedy].join(' | '),
  );
  assert.deepEqual(short, [
    'hypervisor | swift | kvm | no | - | there is no /dev/kvm | get one',
    'hypervisor | broad | tcg | usable | chosen | broad 2.0 | ',
    'hypervisor | broad | kvm | no | - | there is no /dev/kvm | get one',
    'network | private |  | usable | chosen | made and removed | ',
    'network | user |  | usable | - | VMs are alone | see',
    'storage | qcow2 |  | usable | chosen | works | ',
  ]);
});

test('drivers that a VMM does not support are listed by name (9.3)', () => {
  const rows = tabulate(ANSWERS, undefined);
  assert.deepEqual(
    rows.filter(({ notWith }) => notWith.length > 0).map(({ name, notWith }) => [name, ...notWith]),
    [
      ['user', 'swift'],
      ['qcow2', 'swift'],
    ],
  );
  assert.ok(rows.every(({ chosen }) => !chosen));
});
