import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { GuestPortView } from '../../api/port-schemas.ts';
import { portLines } from './ports.ts';
import { hyperlink } from './text.ts';

const base: GuestPortView = {
  protocol: 'tcp',
  address: '0.0.0.0',
  port: 3000,
  pid: 7,
  process: 'node',
  command: 'node server.js http://127.213.0.2:3000/',
  hostAddress: '127.213.0.2',
  hostPort: 3000,
  problem: null,
  scheme: null,
  url: null,
  nameUrl: null,
  localhostUrl: null,
  forwards: [],
};
const web: GuestPortView = { ...base, scheme: 'http', url: 'http://127.213.0.2:3000/' };
const stream = { stdout: new PassThrough(), env: { TERM: 'xterm' } };

test('rows that would look the same are one, URLs stand for what speaks HTTP (3.12)', () => {
  const rows = [
    web,
    { ...web, address: '::', pid: 8, command: 'node server.js [::]' },
    { ...base, protocol: 'udp' as const, port: 53, hostPort: 10_053 },
    { ...base, address: '::1', port: 631, hostAddress: null, hostPort: null },
  ];
  const cells = portLines(stream, rows, {}).map((line) => line.split(/ {2,}/).slice(0, 3));
  assert.deepEqual(cells, [
    ['PROTO', 'ENDPOINT', 'PROCESS'],
    ['tcp', 'http://127.213.0.2:3000/', 'node(7)'],
    ['udp', '127.213.0.2:10053 (53 in the guest)', 'node(7)'],
    ['tcp', '[::1]:631 (in the guest only)', 'node(7)'],
  ]);
});

test('forwards are rows of their own, and say when they are not open (6.1)', () => {
  const forwards = [
    { hostAddress: '0.0.0.0', hostPort: 8080, open: true },
    { hostAddress: '127.0.0.1', hostPort: 9090, open: false },
  ];
  assert.deepEqual(portLines(stream, [{ ...web, forwards }], { isQuiet: true }), [
    'http://127.213.0.2:3000/',
    'http://127.0.0.1:8080/ (on all addresses) (forward of 3000)',
    '127.0.0.1:9090 (forward of 3000) (not open)',
  ]);
});

test('a terminal gets links, and a guest cannot forge one (3.12)', () => {
  const terminal = Object.assign(new PassThrough(), { isTTY: true });
  assert.equal(hyperlink(terminal, 'http://a/', { TERM: 'xterm' }), '\u001b]8;;http://a/\u001b\\http://a/\u001b]8;;\u001b\\');
  for (const TERM of ['dumb', 'linux', 'vt100', '']) assert.equal(hyperlink(terminal, 'http://a/', { TERM }), 'http://a/');
  assert.equal(hyperlink(terminal, 'http://a/', { TERM: 'xterm', BANGER_PLAIN: '1' }), 'http://a/');
  const forged = portLines({ stdout: terminal, env: { TERM: 'xterm' } }, [{ ...web, command: '\u001b]8;;http://evil/\u001b\\x' }], {}).join(
    '\n',
  );
  assert.equal(forged.includes('\u001b]8;;http://evil'), false);
});
