import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fallbackPort, isLowPort } from './forward-ports.ts';

test('a low port has a predictable stand-in (6.1)', () => {
  assert.equal(fallbackPort(80, new Set()), 8080);
  assert.equal(fallbackPort(443, new Set()), 8443);
  assert.equal(fallbackPort(22, new Set()), 10_022);
  assert.equal(isLowPort(1023), true);
  assert.equal(isLowPort(1024), false);
});

test('a stand-in never takes the port of a real listener (6.1)', () => {
  assert.equal(fallbackPort(80, new Set([8080])), 8081);
  assert.equal(fallbackPort(80, new Set([8080, 8081])), 8082);
});
