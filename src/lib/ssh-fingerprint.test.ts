import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sshFingerprint } from './ssh-fingerprint.ts';

test('a fingerprint is the one that ssh-keygen prints (7.4)', () => {
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBXPxNVXsiaA7cGYmIZ0jW3Bm8v0hBq3t9iUwXo3rCbK someone@somewhere\n';
  assert.equal(sshFingerprint(key), 'SHA256:APmPB4iyGw9zGs5Pn6txzbdOOcjGFt4LD/2g2ztY/BE');
});
