import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import type { IndexedPackage, Repository } from './repository.ts';
import { kernelPackage, resolve } from './resolve.ts';
import { splitPkgver } from './version.ts';

type Wish = Partial<IndexedPackage>;

function indexOf(wishes: Readonly<Record<string, Wish>>): Pick<Repository, 'packages' | 'unusable'> {
  const packages = new Map(
    Object.entries(wishes).map(([pkgver, wish]) => {
      const { name = '', version = '' } = splitPkgver(pkgver) ?? {};
      const none = { runDepends: [], provides: [], conflicts: [], replaces: [], shlibProvides: [], shlibRequires: [] };
      const fixed = { name, pkgver, version, architecture: 'x86_64', sizeBytes: 1, sha256: '', installedBytes: 1 };
      return [name, { ...fixed, ...none, alternatives: new Map(), properties: new Map(), ...wish }];
    }),
  );
  return { packages, unusable: new Map() };
}

const namesOf = (index: Pick<Repository, 'packages' | 'unusable'>, ...wanted: string[]): string =>
  resolve(index, wanted)
    .map(({ one, automatic }) => (automatic ? one.name : one.name.toUpperCase()))
    .join(' ');

test('dependencies come first, once, and are marked as not requested (8.7)', () => {
  const index = indexOf({
    'shell-1_1': { runDepends: ['libc>=2_1', 'lines>=0'] },
    'lines-3_1': { runDepends: ['libc>=1_1'] },
    'libc-2.1_1': {},
    'other-1_1': {},
  });
  assert.equal(namesOf(index, 'shell'), 'libc lines SHELL');
  assert.equal(namesOf(index, 'libc', 'shell', 'shell'), 'LIBC lines SHELL');
  assert.equal(namesOf(index), '');
});

test('packages that need each other are both there (8.7)', () => {
  const index = indexOf({ 'a-1_1': { runDepends: ['b>=0'] }, 'b-1_1': { runDepends: ['c>=0'] }, 'c-1_1': { runDepends: ['a>=0'] } });
  assert.equal(namesOf(index, 'a'), 'c b A');
});

test('a chain without end is none (8.7)', () => {
  const chain = Array.from({ length: 2000 }, (_, at): [string, Wish] => [`p${at}-1_1`, { runDepends: [`p${at + 1}>=0`] }]);
  assert.throws(() => resolve(indexOf(Object.fromEntries(chain)), ['p0']), { code: 'DOWNLOAD_FAILED', message: /chains of more than 512/ });
});

test('a package that stands for another is taken: first one that is there anyway, then the real one, then by name (8.7)', () => {
  const index = indexOf({
    'needs-1_1': { runDepends: ['editor>=2'] },
    'nano-1_1': { provides: ['editor-3_1'] },
    'ed-1_1': { provides: ['editor-2_1'] },
    'old-1_1': { provides: ['editor-1_1'] },
  });
  assert.equal(namesOf(index, 'needs'), 'ed NEEDS');
  assert.equal(namesOf(index, 'nano', 'needs'), 'NANO NEEDS');
  assert.equal(namesOf(index, 'editor>=3'), 'NANO');
  const real = indexOf({ 'needs-1_1': { runDepends: ['editor>=2'] }, 'a-1_1': { provides: ['editor-2_1'] }, 'editor-2_1': {} });
  assert.equal(namesOf(real, 'needs'), 'editor NEEDS');
});

test('an error about a missing package names the package that needs it (8.7)', () => {
  const index = indexOf({
    'a-1_1': { runDepends: ['b>=0'] },
    'b-1_1': { runDepends: ['c>=2'] },
    'c-1_1': {},
    'd-1_1': { runDepends: ['c-[0-9]*'] },
  });
  assert.throws(() => resolve(index, ['a']), {
    code: 'DOWNLOAD_FAILED',
    message: /b-1_1 needs "c>=2", which it does not have, which is needed by a-1_1$/,
  });
  assert.throws(() => resolve(index, ['d']), { code: 'DOWNLOAD_FAILED', message: /d-1_1 needs "c-\[0-9\]\*"/ });
  assert.throws(() => resolve(index, ['c', 'emacs']), { code: 'INVALID_INPUT', message: /no package "emacs"/ });
  assert.throws(() => resolve(index, ['c>=2']), { code: 'INVALID_INPUT', message: /no package "c>=2"/ });
});

test('an entry of the index that cannot be used matters when it is needed, and then says why (8.7)', () => {
  const index = indexOf({ 'a-1_1': {}, 'b-1_1': { runDepends: ['bad>=0'] }, 'c-1_1': { provides: ['bad-1_1'] } });
  const unusable = new Map([['bad', new BangerError('DOWNLOAD_FAILED', 'its index says of "bad" no SHA-256')]]);
  assert.equal(namesOf({ ...index, unusable }, 'a'), 'A');
  assert.throws(() => resolve({ ...index, unusable }, ['b']), { code: 'DOWNLOAD_FAILED', message: /"bad" no SHA-256/ });
});

test('packages that cannot stand together are refused (8.7)', () => {
  const index = indexOf({
    'a-1_1': { conflicts: ['b>=2'] },
    'b-2_1': {},
    'c-1_1': { replaces: ['b<3', 'c>=0'] },
    'e-1_1': { conflicts: ['b<2'] },
  });
  assert.throws(() => resolve(index, ['a', 'b']), { code: 'INVALID_INPUT', message: /a-1_1 conflicts with b-2_1/ });
  assert.throws(() => resolve(index, ['b', 'c']), { code: 'INVALID_INPUT', message: /c-1_1 replaces b-2_1/ });
  assert.equal(namesOf(index, 'b', 'e'), 'B E');
  assert.equal(namesOf(index, 'c'), 'C');
});

test('libraries that no package provides show a mirror in the middle of an update (8.7)', () => {
  const index = indexOf({
    'ssh-1_1': { runDepends: ['crypto>=0'], shlibRequires: ['libcrypto.so.4'] },
    'crypto-3_1': { shlibProvides: ['libcrypto.so.3'] },
    'curl-1_1': { runDepends: ['crypto>=0'], shlibRequires: ['libcrypto.so.3'] },
  });
  assert.throws(() => resolve(index, ['ssh']), { code: 'DOWNLOAD_FAILED', message: /ssh-1_1 needs the library "libcrypto\.so\.4"/ });
  assert.equal(namesOf(index, 'curl'), 'crypto CURL');
});

test('the kernel is the package that linux names, without what else that brings (8.7)', () => {
  assert.equal(
    kernelPackage(indexOf({ 'linux-6.12_1': { runDepends: ['linux-firmware-amd>=0', 'linux6.12>=6.12_1', 'dracut>=0'] } })),
    'linux6.12',
  );
  for (const index of [indexOf({}), indexOf({ 'linux-6.12_1': { runDepends: ['dracut>=0', 'linux6.12-headers>=0'] } })])
    assert.throws(() => kernelPackage(index), { code: 'DOWNLOAD_FAILED', message: /names a kernel/ });
});
