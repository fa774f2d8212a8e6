import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../drivers/network/contract.ts';
import type { StorageDriver } from '../../drivers/storage/contract.ts';
import type { Finding } from '../../model/finding.ts';
import { type Choices, decide, type Survey, type Wishes } from './decide.ts';

const AUTO: Wishes = { hypervisor: 'auto', storage: 'auto', network: 'auto' };

function findingOf(name: string, isBroken: boolean): Finding {
  return isBroken
    ? { name, level: 'fail', reason: `${name} is broken`, remedy: `mend ${name}` }
    : { name, level: 'pass', reason: `${name} works` };
}

/** A host with a VMM for KVM alone and one for everything. @param broken names of what does not work on it */
function hostWithout(...broken: string[]): Survey {
  const hypervisor = (name: string, takes: Hypervisor['takes'], accelerator: 'kvm' | 'tcg'): Survey['hypervisors'][number] => ({
    driver: { name, takes } as Hypervisor,
    checks: { accelerator, version: `${name} 1.0`, findings: [findingOf(name, broken.includes(name))] },
  });
  const storage = (name: StorageDriver['name'], format: 'raw' | 'qcow2'): Survey['storages'][number] => ({
    driver: { name, root: { format } } as StorageDriver,
    checks: { findings: [findingOf(name, broken.includes(name))] },
  });
  const network = (name: NetworkDriver['name'], kind: NetworkDriver['kind']): Survey['networks'][number] => ({
    driver: { name, kind } as NetworkDriver,
    checks: { findings: [findingOf(name, broken.includes(name))] },
  });
  return {
    hypervisors: [
      hypervisor('swift', { diskFormats: ['raw'], networks: ['tap', 'none'] }, 'kvm'),
      hypervisor('broad', { diskFormats: ['raw', 'qcow2'], networks: ['tap', 'user', 'none'] }, 'tcg'),
    ],
    storages: [storage('reflink', 'raw'), storage('qcow2', 'qcow2'), storage('dm-snapshot', 'raw'), storage('copy', 'raw')],
    networks: [network('private', 'tap'), network('user', 'user'), network('bridge', 'tap')],
  };
}

function names({ hypervisor, storage, network }: Choices): string {
  return [hypervisor, storage, network].map(({ driver }) => driver.name).join(' ');
}

describe('drivers left to choose', () => {
  const cases: [broken: string[], chosen: string][] = [
    [[], 'swift reflink private'],
    [['swift'], 'broad reflink private'],
    [['swift', 'reflink'], 'broad qcow2 private'],
    [['reflink'], 'swift dm-snapshot private'],
    [['reflink', 'dm-snapshot'], 'swift copy private'],
    [['private'], 'broad reflink user'],
    [['private', 'reflink'], 'broad qcow2 user'],
  ];
  for (const [broken, chosen] of cases) {
    test(`${broken.join(', ') || 'nothing'} does not work: ${chosen} (4.3, 5.1)`, () => {
      assert.equal(names(decide(AUTO, hostWithout(...broken))), chosen);
    });
  }

  test('say why a better one was not taken (4.3)', () => {
    assert.equal(decide(AUTO, hostWithout()).hypervisor.reason, 'swift 1.0');
    const second = decide(AUTO, hostWithout('swift', 'reflink'));
    assert.equal(second.hypervisor.reason, 'swift is not used: swift is broken');
    assert.equal(second.storage.reason, 'reflink is not used: reflink is broken');
    assert.equal(decide(AUTO, hostWithout('private')).hypervisor.reason, 'swift is not used: private is broken');
  });

  test('with nothing that works are refused with the remedy of the last resort (4.3)', () => {
    assert.throws(() => decide(AUTO, hostWithout('swift', 'broad')), { code: 'PREREQUISITE_MISSING', remedy: 'mend broad' });
  });
});

describe('drivers that config names', () => {
  test('are taken although a better one works, and steer the others (4.3, 5.1)', () => {
    const survey = hostWithout();
    const broad = decide({ ...AUTO, hypervisor: 'broad' }, survey);
    assert.equal(names(broad), 'broad reflink private');
    assert.equal(broad.hypervisor.reason, 'hypervisor = "broad"');
    assert.equal(names(decide({ ...AUTO, storage: 'qcow2' }, survey)), 'broad qcow2 private');
    assert.equal(names(decide({ ...AUTO, network: 'user' }, survey)), 'broad reflink user');
    assert.equal(names(decide({ ...AUTO, network: 'bridge' }, survey)), 'swift reflink bridge');
  });

  test('and do not work are refused with what mends them, never replaced (4.3, 9.2)', () => {
    const refused = (wishes: Partial<Wishes>, broken: string[], remedy: string): void =>
      assert.throws(() => decide({ ...AUTO, ...wishes }, hostWithout(...broken)), { code: 'PREREQUISITE_MISSING', remedy });
    refused({ hypervisor: 'swift' }, ['swift'], 'mend swift');
    refused({ hypervisor: 'swift' }, ['private'], 'mend private');
    refused({ network: 'private' }, ['private'], 'mend private');
    refused({ storage: 'reflink' }, ['reflink'], 'mend reflink');
    refused({ network: 'bridge' }, ['swift', 'bridge'], 'mend bridge');
  });

  test('and do not go together are refused with the key to change (4.3)', () => {
    const survey = hostWithout();
    assert.throws(() => decide({ ...AUTO, hypervisor: 'swift', network: 'user' }, survey), {
      code: 'PREREQUISITE_MISSING',
      message: /network\.mode = "user" does not go with swift/,
      remedy: 'set network.mode = "auto" in config.toml',
    });
    assert.throws(() => decide({ ...AUTO, hypervisor: 'swift', storage: 'qcow2' }, survey), { message: /storage\.driver = "qcow2"/ });
  });
});

describe('a VM that has its disk', () => {
  const survey = hostWithout();
  const [reflink, qcow2] = survey.storages.map(({ driver }) => driver);

  test('keeps what made it, and moves to a better VMM when that takes the disk (4.3)', () => {
    assert.equal(names(decide({ ...AUTO, storage: 'copy' }, survey, reflink)), 'swift reflink private');
  });

  test('of a format that the better VMM does not take stays with one that does, even against config (4.3)', () => {
    const kept = decide(AUTO, survey, qcow2);
    assert.equal(names(kept), 'broad qcow2 private');
    assert.equal(kept.hypervisor.reason, 'swift is not used: the root disk of this VM is qcow2, which swift does not take');
    assert.equal(names(decide({ ...AUTO, hypervisor: 'swift' }, survey, qcow2)), 'broad qcow2 private');
  });

  test('that no VMM here takes is refused (4.3)', () => {
    assert.throws(() => decide(AUTO, hostWithout('broad'), qcow2), {
      code: 'PREREQUISITE_MISSING',
      message: /root disk of this VM is qcow2/,
    });
  });
});
