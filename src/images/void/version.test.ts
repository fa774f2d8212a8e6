import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareVersions, matches, parsePattern, splitPkgver } from './version.ts';

test('versions are ordered as xbps orders them (8.7)', () => {
  // Each is newer than those before it; xbps-uhelper cmpver says the same.
  const ascending = [
    ...['0_1', '0.1_1', '1.0alpha_1', '1.0beta_1', '1.0rc1_1', '1.0_1', '1.0_2', '1.0_10', '1.0a_1', '1.0b_1', '1.0.3_1'],
    ...['1.2_1', '1.10_1', '2rc_1', '2pre1_1', '2_1', '8.1p1_1', '20240101_1'],
  ];
  for (const [i, older] of ascending.entries())
    for (const [j, newer] of ascending.entries())
      assert.equal(Math.sign(compareVersions(older, newer)), Math.sign(i - j), `${older} and ${newer}`);
  assert.equal(compareVersions('1.0pl0_1', '1.0.0_1'), 0);
  assert.equal(compareVersions('1.0a_1', '1.0.1_1'), 0);
});

test('a package is split where its version begins (8.7)', () => {
  const found = ['foo-1.0_1', 'perl-PathTools-5.56_2', 'linux6.12-6.12.21_1', 'fs-utils-v1_1', 'a-b_c-1_1'].map(splitPkgver);
  assert.deepEqual(
    found.map((one) => [one?.name, one?.version]),
    [
      ['foo', '1.0_1'],
      ['perl-PathTools', '5.56_2'],
      ['linux6.12', '6.12.21_1'],
      ['fs-utils', 'v1_1'],
      ['a-b_c', '1_1'],
    ],
  );
  for (const text of [
    'foo',
    'foo-1.0',
    'foo-bar_1',
    '../x-1_1',
    'foo-1_1/x',
    'foo>=1-1_1',
    '-1_1',
    'foo -1_1',
    '..-1_1',
    '.x-1_1',
    'foo-1?x_1',
    'foo-%2e_1',
    'föö-1_1',
  ])
    assert.equal(splitPkgver(text), undefined, text);
});

test('patterns pick packages by name and bounds (8.7)', () => {
  const yes = [...['foo', 'foo-1.5_2', 'foo>=0', 'foo>=1.5_2', 'foo>1.5_1', 'foo<2', 'foo<=1.5_2', 'foo>=1<2', 'foo>1.5<=1.5_2']];
  const no = ['fo', 'foo-1.5_1', 'foo>1.5_2', 'foo<1.5_2', 'foo>=2', 'foo>=1<1.5', 'foobar>=0', 'foo-bar>=0'];
  const isMatch = (text: string): boolean => {
    const pattern = parsePattern(text);
    return pattern !== undefined && matches(pattern, 'foo-1.5_2');
  };
  assert.deepEqual(
    yes.filter((text) => !isMatch(text)),
    [],
  );
  assert.deepEqual(no.filter(isMatch), []);
  for (const text of ['', 'foo-[0-9]*', 'foo?', '>=1', 'foo>=', 'foo<1<2', 'foo>=1 ', 'foo>=1<2<3'])
    assert.equal(parsePattern(text), undefined, text);
});
