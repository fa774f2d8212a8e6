import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { X509Certificate } from 'node:crypto';
import { makeAuthority } from '../../test/support/outside/authority.ts';
import { checkProxy, parseAuthorities, proxyVariables, withBlock } from './host-trust.ts';

const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
after(() => rmSync(directory, { recursive: true }));
const authority = makeAuthority(directory);
const server = authority.server(['DNS:mirror.example']);
const parse = (text: string | Buffer): string[] => parseAuthorities(Buffer.from(text), '/ca.pem');

test('certificates of authorities are read from PEM and DER, without surrounding text (8.3)', () => {
  assert.deepEqual(parse(authority.certificate), [authority.certificate]);
  assert.deepEqual(parse(`# our CA\r\n${authority.certificate.replaceAll('\n', '\r\n')}\ncomment\n${authority.certificate}`), [
    authority.certificate,
    authority.certificate,
  ]);
  assert.deepEqual(parse(new X509Certificate(authority.certificate).raw), [authority.certificate]);
});

test('an error about a file that is no authority names the file: keys, servers, noise, nothing (8.3)', () => {
  const key = '-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n';
  for (const [text, says] of [
    [authority.certificate + key, /^\/ca\.pem contains a private key/],
    [server.cert, /certificate 1 \(CN=server\) is not an authority's/],
    ['', /holds no certificate/],
    ['hello', /holds no certificate/],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', /certificate 1 cannot be read/],
    ['-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n', /holds 0 certificates/],
    [authority.certificate.repeat(401), /holds 401 certificates/],
  ] as const) {
    assert.throws(() => parse(text), { code: 'CONFIG_INVALID', message: says, remedy: /./ });
  }
});

test('proxies become variables in both spellings, past which guests go to themselves and each other (8.3)', () => {
  assert.deepEqual(proxyVariables({ http: null, https: null, none: 'x' }), {});
  const variables = proxyVariables({
    http: 'proxy.example:3128',
    https: 'http://me:p%40ss@proxy.example:3128',
    none: 'corp.example, localhost',
  });
  assert.equal(variables['http_proxy'], 'http://proxy.example:3128');
  assert.equal(variables['HTTPS_PROXY'], 'http://me:p%40ss@proxy.example:3128');
  assert.equal(variables['NO_PROXY'], 'corp.example,localhost,127.0.0.1,::1,.vm,10.213.0.0/16,127.213.0.0/16');
});

test('a proxy that no guest reaches, or that a file of variables cannot hold, is refused without showing its password (8.3)', () => {
  for (const text of ['127.0.0.1:3128', 'http://localhost:1', 'http://[::1]:3128', 'socks5://127.1.2.3:1', 'http://squid.localhost']) {
    assert.throws(() => checkProxy(text, 'http_proxy'), {
      code: 'UNSUPPORTED',
      message: /on the loopback of this host/,
      remedy: /another address/,
    });
  }
  for (const text of [
    '',
    'http://',
    'ftp://p:1',
    'http://p:1\nLD_PRELOAD=/x',
    'http://p:1"',
    'http://p:1 x',
    'http://p:1#x',
    'http://$(id):1',
    'http://ü:1',
  ]) {
    assert.throws(() => checkProxy(text, 'http_proxy'), { code: 'CONFIG_INVALID' }, JSON.stringify(text));
  }
  assert.throws(
    () => checkProxy('http://me:secret@p:1 x', 'http_proxy'),
    (error: Error) => !error.message.includes('secret'),
  );
  assert.throws(() => proxyVariables({ http: 'http://p:1', https: null, none: 'a\nLD_PRELOAD=/x' }), { code: 'CONFIG_INVALID' });
});

test("banger's block is added, changed and removed, and the rest of the file stays byte for byte (8.3)", () => {
  for (const before of ['', 'a\n', 'a', 'a\n\n# b\n', '\u0000\u00ff\n']) {
    const once = withBlock(before, ['one', 'two']);
    assert.match(once, /# banger begin.*\none\ntwo\n# banger end\n$/);
    assert.equal(withBlock(once, ['three']), withBlock(before, ['three']));
    assert.equal(withBlock(once, []), before === '' || before.endsWith('\n') ? before : `${before}\n`);
  }
  assert.equal(withBlock('# banger begin without an end\na\n', []), '# banger begin without an end\na\n');
});
