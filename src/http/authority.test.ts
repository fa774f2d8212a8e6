import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultPort, hostOf, parseTarget } from './authority.ts';

const targetOf = (authority: string) => parseTarget(hostOf(authority) ?? '');

test('a name says which VM and which port (6.3)', () => {
  assert.deepEqual(targetOf('web.vm'), { vm: 'web', port: undefined });
  assert.deepEqual(targetOf('3000.WEB.vm:42080'), { vm: 'web', port: 3000 });
  assert.deepEqual(targetOf('shop.web.vm.'), { vm: 'web', port: undefined });
  assert.deepEqual(targetOf('3000.shop.web.vm'), { vm: 'web', port: 3000 });
  assert.deepEqual(targetOf('3000.vm'), { vm: '3000', port: undefined });
  assert.deepEqual(targetOf('0.web.vm'), { vm: 'web', port: undefined });
  assert.deepEqual(targetOf('my_app.web.vm'), { vm: 'web', port: undefined });
  assert.deepEqual(targetOf('web.localhost:42080'), { vm: 'web', port: undefined });
  assert.deepEqual(targetOf('3000.web.localhost'), { vm: 'web', port: 3000 });
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
    'user@web.vm',
    'web.vm:65536',
    'web.vm:x',
    'web.vm, db.vm',
    'evil.localhost.example',
    'x y.web.vm',
    `${'a'.repeat(64)}.vm`,
  ])
    assert.equal(targetOf(name), undefined, name);
});

test('without a port it is one of web servers, 80 before all others, and never ssh (6.3)', () => {
  const ports = (...list: number[]) => list.map((guestPort) => ({ guestPort }));
  assert.equal(defaultPort(ports(22, 3000, 80)), 80);
  assert.equal(defaultPort(ports(22, 1234, 3000)), 3000);
  assert.equal(defaultPort(ports(22, 9999, 1234)), 1234);
  assert.equal(defaultPort(ports(22)), undefined);
});
