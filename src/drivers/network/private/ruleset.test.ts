import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesOf } from '../../../model/network.ts';
import { admitGuest, baseRuleset, dismissGuests, parseGuests } from './ruleset.ts';

test('the base rules touch only tables of banger’s own and keep the sets’ elements (6.1)', () => {
  const lines = baseRuleset().trimEnd().split('\n');
  assert.equal(
    lines.every((line) => /^(add (table|set|chain|rule)|flush chain) (bridge|ip) banger\b/.test(line)),
    true,
  );
  assert.equal(
    lines.some((line) => /flush (set|ruleset|table)|^delete/.test(line)),
    false,
  );
});

test('every chain is emptied before its rules are added, so that applying twice adds nothing (6.1)', () => {
  const lines = baseRuleset().split('\n');
  for (const chain of [
    'bridge banger prerouting',
    'ip banger untracked',
    'ip banger answers',
    'ip banger outbound',
    'ip banger input',
    'ip banger forward',
  ]) {
    const flushed = lines.indexOf(`flush chain ${chain}`);
    const firstRule = lines.findIndex((line) => line.startsWith(`add rule ${chain} `));
    assert.ok(flushed >= 0 && flushed < firstRule, chain);
  }
});

test('only the name server of link-local is allowed, and before the rest is forbidden (6.1)', () => {
  const forward = baseRuleset()
    .split('\n')
    .filter((line) => line.startsWith('add rule ip banger forward'));
  const names = forward.findIndex((line) => line.includes('169.254.213.53') && line.endsWith('ip saddr @nat accept'));
  const forbidden = forward.findIndex((line) => line.includes('169.254.0.0/16') && line.endsWith('drop'));
  const out = forward.findIndex((line) => line.includes('oifname "uplink0"'));
  assert.ok(names >= 0 && names < forbidden && forbidden < out, `${names} ${forbidden} ${out}`);
});

test('a VM without NAT does not inherit the rights of an earlier VM with its address (6.1)', () => {
  assert.equal(
    admitGuest('0000002a', addressesOf(42), false),
    [
      'add element bridge banger guests { "bgr-0000002a" . 02:62:67:00:00:2a . 10.213.0.42 }',
      'add element ip banger nat { 10.213.0.42 }',
      'delete element ip banger nat { 10.213.0.42 }',
      '',
    ].join('\n'),
  );
  assert.doesNotMatch(admitGuest('0000002a', addressesOf(42), true), /delete/);
});

test('removing a VM adds each element first, because nft refuses to delete a missing one (9.5)', () => {
  const lines = dismissGuests([{ tapName: 'bgr-0000002a', ...addressesOf(42) }])
    .trimEnd()
    .split('\n');
  assert.deepEqual(
    lines.map((line) => line.split(' ').slice(0, 5).join(' ')),
    [
      'add element bridge banger guests',
      'delete element bridge banger guests',
      'add element ip banger nat',
      'delete element ip banger nat',
    ],
  );
});

test('the set of guests is read from nft’s JSON (9.5)', () => {
  const json =
    '{"nftables":[{"metainfo":{}},{"set":{"name":"guests","elem":[{"concat":["bgr-00000001","02:62:67:00:00:02","10.213.0.2"]},7]}}]}';
  assert.deepEqual(parseGuests(json), [{ tapName: 'bgr-00000001', macAddress: '02:62:67:00:00:02', guestAddress: '10.213.0.2' }]);
  assert.deepEqual(parseGuests('{"nftables":[{"set":{"name":"guests"}}]}'), []);
});
