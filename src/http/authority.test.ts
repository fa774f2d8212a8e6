import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultPort, parseTarget } from './authority.ts';

test('a name says which VM and which port (6.3)', () => {
  assert.deepEqual(parseTarget('web.vm'), { vm: 'web', port: undefined });
  assert.deepEqual(parseTarget('3000.WEB.vm:42080'), { vm: 'web', port: 3000 });
  assert.deepEqual(parseTarget('shop.web.vm.'), { vm: 'web', port: undefined });
  assert.deepEqual(parseTarget('3000.shop.web.vm'), { vm: 'web', port: 3000 });
  assert.deepEqual(parseTarget('3000.vm'), { vm: '3000', port: undefined });
  assert.deepEqual(parseTarget('0.web.vm'), { vm: 'web', port: undefined });
});

test('other names lead nowhere (6.3)', () => {
  for (const name of [
    '',
    'vm',
    '.vm',
    'web',
    'web.vm.evil.example',
    'evil.example',
    '127.0.0.1',
    'localhost:42080',
    '[::1]',
    'web..vm',
    '-a.vm',
    'a_b.vm',
    'web.vm/x',
    `${'a'.repeat(64)}.vm`,
  ])
    assert.equal(parseTarget(name), undefined, name);
});

test('without a port it is one of web servers, 80 before all others, and never ssh (6.3)', () => {
  const ports = (...list: number[]) => list.map((guestPort) => ({ guestPort }));
  assert.equal(defaultPort(ports(22, 3000, 80)), 80);
  assert.equal(defaultPort(ports(22, 1234, 3000)), 3000);
  assert.equal(defaultPort(ports(22, 9999, 1234)), 1234);
  assert.equal(defaultPort(ports(22)), undefined);
});
