import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSources } from '../../../tools/source-tree.ts';
import { realHost } from '../../host/host.ts';
import { resolveDirectories } from '../../lib/directories.ts';
import type { Bundle } from '../../model/image.ts';
import { loadConfig } from '../config.ts';
import { DRIVERS, namesOf } from './registry.ts';

const ROOT = join(import.meta.dirname, '../../..');
const KINDS = ['hypervisor', 'network', 'storage'] as const;
type Kind = (typeof KINDS)[number];

const { hypervisors, networks, storages } = namesOf(DRIVERS);
const LISTED: Record<Kind, readonly string[]> = { hypervisor: hypervisors, network: networks, storage: storages };

/** Of drivers that live in the folder of another: Firecracker in a jail is the same program, started in another way. */
const FOLDERS: Record<string, string> = { 'firecracker-jailed': 'firecracker' };

test('each driver in the list has a folder and no other, and the name that it is listed under (4.4)', () => {
  for (const kind of KINDS) {
    const folders = readdirSync(join(ROOT, 'src/drivers', kind), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const expected = new Set(LISTED[kind].map((name) => FOLDERS[name] ?? name));
    assert.deepEqual(new Set(folders.map(({ name }) => name).filter((name) => name !== 'fake')), expected, kind);
  }
  const directories = resolveDirectories({}, '/nonexistent', 0);
  const { config } = loadConfig('/nonexistent', {}, namesOf(DRIVERS));
  // Making a driver touches nothing.
  const bundle = { directory: '/nonexistent', manifest: { files: { forwarder: { path: 'forwarder' } } } } as unknown as Bundle;
  const context = { host: realHost, config, directories };
  const made = [
    ...[DRIVERS.hypervisors, DRIVERS.storages, DRIVERS.standingNetworks].flatMap((makers) =>
      Object.entries<(given: typeof context & { bundle: () => Bundle }) => { name: string }>(makers).map(([name, make]) => ({
        name,
        driver: make({ ...context, bundle: () => bundle }),
      })),
    ),
    ...Object.entries(DRIVERS.networks).map(([name, make]) => ({ name, driver: make({ ...context, bundle }) })),
  ];
  for (const { name, driver } of made) assert.equal(driver.name, name);
});

test('no code but its folder and the list of drivers writes the name of a driver (4.4)', () => {
  const sources = readSources(ROOT, ['src'], ['.ts']).filter(({ path }) => !path.endsWith('.test.ts') && path !== LIST);
  const found = KINDS.flatMap((kind) =>
    LISTED[kind].flatMap((name) => {
      const written = new RegExp(`['"\`]${name}['"\`]`);
      const own = `src/drivers/${kind}/${FOLDERS[name] ?? name}/`;
      return sources.flatMap(({ path, text }) => (path.startsWith(own) || !written.test(text) ? [] : { path, name }));
    }),
  );
  const meansElse = ({ path, name }: { path: string; name: string }) =>
    OTHER_MEANINGS.find(({ words, where }) => words.includes(name) && where.some((part) => path.startsWith(part)));
  assert.deepEqual(
    found.filter((one) => meansElse(one) === undefined),
    [],
  );
  assert.deepEqual(new Set(found.map(meansElse)), new Set(OTHER_MEANINGS), 'no longer needed');
});

const LIST = 'src/daemon/compose/registry.ts';

/** Where the word is not the name of a driver. */
const OTHER_MEANINGS: readonly { words: readonly string[]; where: readonly string[]; because: string }[] = [
  {
    words: ['qcow2', 'user'],
    where: ['src/drivers/hypervisor/', 'src/drivers/storage/conformance.ts', 'src/lifecycle/vm/vmm.ts'],
    because: 'a format of disks and a kind of networks, which VMMs take or not',
  },
  {
    words: ['firecracker'],
    where: [
      'src/model/image.ts',
      'src/images/bundle/',
      'src/lifecycle/bundle/',
      'src/api/routes/',
      'src/client/',
      'src/cli/commands/bundle/',
    ],
    because: 'a program that a bundle can hold',
  },
  { words: ['user', 'copy'], where: ['src/cli/', 'src/client/', 'src/images/import/'], because: 'a person, and what is done to files' },
  { words: ['bridge'], where: ['src/drivers/network/private/'], because: 'a family of tables of nftables' },
];
