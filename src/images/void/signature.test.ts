import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newSigner, sign } from '../../../test/support/images/void-repository.ts';
import { isSigned, parseKey, readTrustedKeys } from './signature.ts';

const PINNED = join(import.meta.dirname, '../../../images/void/keys');
const signal = new AbortController().signal;

test("the keys that banger brings are Void's: xbps knows them by these fingerprints, banger by their SHA-256 (8.7)", async () => {
  const keys = [...(await readTrustedKeys([PINNED])).values()];
  assert.deepEqual(
    keys.map(({ fingerprint, sha256, key }) => [fingerprint, sha256, key.asymmetricKeyDetails?.modulusLength]),
    [
      ['3d:b9:c0:50:41:a7:68:4c:2e:2c:a9:a2:5a:04:b7:3f', 'f0da25a2877ccd5cba89e27fc744867914fd26031368a88f746f0f8096450d4d', 4096],
      ['60:ae:0c:d6:f0:95:17:80:bc:93:46:7a:89:af:a3:2d', '05473705de6456ebfdda5bd4f18155cba80bd83fca1b120cf41099693c69187b', 4096],
    ],
  );
});

test('a signature holds for the file that was signed, and by that key alone (8.7)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-sig-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'package');
  const bytes = Buffer.from('a package');
  writeFileSync(path, bytes);
  const [signer, other] = [newSigner(), newSigner()];
  const [mine, theirs] = [signer, other].map(({ pem }) => parseKey(Buffer.from(pem)));
  assert.ok(mine !== undefined && theirs !== undefined);
  const good = sign(bytes, signer);
  assert.equal(await isSigned(path, good, mine, signal), true);
  assert.equal(await isSigned(path, good, theirs, signal), false);
  assert.equal(await isSigned(path, createSign('RSA-SHA1').update(bytes).sign(signer.privateKey), mine, signal), false);
  for (const bad of [Buffer.alloc(0), good.subarray(1), Buffer.concat([good, good]), Buffer.alloc(256)])
    assert.equal(await isSigned(path, bad, mine, signal), false);
  writeFileSync(path, 'another package');
  assert.equal(await isSigned(path, good, mine, signal), false);
});

test('only public RSA keys of enough bits are trusted, and a directory with anything else is not (8.7)', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-keys-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const pem = (type: 'spki' | 'pkcs8', key: { export(options: object): unknown }): Buffer =>
    Buffer.from(key.export({ type, format: 'pem' }) as string);
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
  const curve = generateKeyPairSync('ed25519').publicKey;
  const refused = [
    pem('spki', short),
    pem('spki', curve),
    pem('pkcs8', newSigner().privateKey),
    Buffer.from('-----BEGIN PUBLIC KEY-----\nx'),
    Buffer.alloc(0),
  ];
  for (const [at, bytes] of refused.entries()) {
    assert.equal(parseKey(bytes), undefined, String(at));
    writeFileSync(join(directory, 'mine.pem'), bytes);
    await assert.rejects(readTrustedKeys([directory]), { code: 'CONFIG_INVALID', message: /mine\.pem is no RSA public key/ }, String(at));
  }
  writeFileSync(join(directory, 'mine.pem'), newSigner().pem);
  writeFileSync(join(directory, 'notes.txt'), 'no key');
  assert.equal((await readTrustedKeys([PINNED, directory])).size, 3);
  await assert.rejects(readTrustedKeys([join(directory, 'none')]), { code: 'CONFIG_INVALID', message: /cannot be read/ });
});
