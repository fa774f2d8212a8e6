import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distributionSources, keptAptOptions, parseDeb822, parseOneLine, renderSources } from './apt-sources.ts';

const DEB822 = `# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
# in between
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main
`;

test('a deb822 file gives its enabled binary entries, comments left out and multi-line keys kept (2.5)', () => {
  const entries = parseDeb822(DEB822);
  assert.equal(entries.length, 1);
  assert.deepEqual(entries[0]?.suites, ['bookworm', 'bookworm-updates']);
  assert.deepEqual(entries[0]?.components, ['main', 'contrib']);
  assert.equal(entries[0]?.options['signed-by'], '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc');
});

test('a one-line file gives its binary entries with their options (2.5)', () => {
  const text =
    '#deb http://no.example x main\ndeb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main non-free # why\ndeb-src http://s x main\n';
  assert.deepEqual(parseOneLine(text), [
    {
      uris: ['http://a.example/debian'],
      suites: ['bookworm'],
      components: ['main', 'non-free'],
      options: { arch: 'amd64', 'signed-by': '/k.gpg' },
    },
  ]);
});

test('only the distribution itself is kept of the sources, not archives of others (2.5)', () => {
  const lines = [
    'deb http://deb.example/debian bookworm main',
    'deb http://deb.example/debian bookworm-backports main',
    'deb http://deb.example/debian-security bookworm-security main',
    'deb https://docker.example/linux/debian bookworm stable',
    'deb https://cloud.example/apt cloud-sdk-bookworm main',
    'deb https://node.example/node_20.x nodistro main',
  ];
  const kept = distributionSources(parseOneLine(lines.join('\n')), 'bookworm');
  assert.deepEqual(
    kept.map((entry) => entry.suites),
    [['bookworm'], ['bookworm-security']],
  );
});

test('rendered sources read back as they were (2.5)', () => {
  const entries = parseDeb822(DEB822);
  assert.deepEqual(parseDeb822(renderSources([...entries, ...entries])), [...entries, ...entries]);
  assert.match(renderSources(parseOneLine('deb [arch=amd64] http://a b main')), /^Architectures: amd64$/m);
});

test('settings without which the mirrors would not answer are passed on, others are not (2.5)', () => {
  const dump = [
    'Acquire "";',
    'Acquire::Check-Valid-Until "false";',
    'Acquire::Check-Date "";',
    'Acquire::http::Proxy "http://proxy.example:3128";',
    'Acquire::https::deb.example::Verify-Peer "false";',
    'Acquire::Languages:: "none";',
    'Acquire::GzipIndexes "true";',
  ].join('\n');
  assert.deepEqual(keptAptOptions(dump), [
    'Acquire::Check-Valid-Until "false"',
    'Acquire::http::Proxy "http://proxy.example:3128"',
    'Acquire::https::deb.example::Verify-Peer "false"',
  ]);
});
