import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realHost } from '../../host/host.ts';
import { fetchArchives } from './packages.ts';

const outcome = (stdout: string) => ({ argv: [], exitCode: 0, signal: null, timedOut: false, cancelled: false, stdout, stderr: '' });

/** What a confined apt would print, and what one that the guest has taken over could. */
const PRINTED = `'http://mirror.test/pool/tree_2.1.0-1_amd64.deb' tree_2.1.0-1_amd64.deb 52500 SHA256:00
'http://mirror.test/pool/vim.deb' vim-tiny_2%3a9.0-2+deb12u2_amd64.deb 720 SHA256:00
'http://mirror.test/a' ../../../etc/cron.d/evil_1_amd64.deb 1 SHA256:00
'http://mirror.test/b' -oDir::Bin=x_1_amd64.deb 1 SHA256:00
'http://mirror.test/c' ;id_1_amd64.deb 1 SHA256:00
`;

test("only a confined apt reads the guest's list of packages, and returns only names and versions (8.3, 12.8)", async (t) => {
  const cacheDirectory = mkdtempSync(join(tmpdir(), 'bgr-apt-'));
  t.after(() => rmSync(cacheDirectory, { recursive: true }));
  const files: Record<string, string> = {
    '/etc/os-release': 'ID=debian\nVERSION_CODENAME=bookworm\n',
    '/etc/apt/sources.list': 'deb http://mirror.test/debian bookworm main\n',
  };
  const unconfined: string[] = [];
  const confined: { argv: string; copies: string[] }[] = [];
  const host: typeof realHost = {
    ...realHost,
    readIfThere: (path) => Promise.resolve(files[path]),
    run: async (argv, options) => {
      const line = argv.join(' ');
      unconfined.push(line);
      const status = /Dir::State::status=(\S+)/.exec(line)?.[1];
      if (status !== undefined)
        assert.equal(readFileSync(status, 'utf8'), '', 'an apt with the rights of the user reads what the guest wrote');
      if (argv.includes('download'))
        for (const word of argv.slice(argv.indexOf('download') + 1)) writeFileSync(join(options?.cwd ?? '', fileOf(word)), '');
      return outcome('');
    },
    runConfined: (argv, { copies }) => {
      confined.push({ argv: argv.join(' '), copies: [...(copies?.values() ?? [])].map((path) => readFileSync(path, 'utf8')) });
      return Promise.resolve(outcome(PRINTED));
    },
  };
  const request = { distribution: 'debian bookworm', status: 'Package: hostile\n', names: ['tree'], cacheDirectory, host };
  const paths = await fetchArchives({ ...request, signal: new AbortController().signal, onLine: () => undefined });
  assert.deepEqual(
    paths?.map((path) => path.slice(cacheDirectory.length)),
    ['/archives/tree_2.1.0-1_amd64.deb', '/archives/vim-tiny_2%3a9.0-2+deb12u2_amd64.deb'],
  );
  assert.ok(confined[0]?.copies.includes('Package: hostile\n'));
  assert.match(unconfined.at(-1) ?? '', / download tree=2\.1\.0-1 vim-tiny=2:9\.0-2\+deb12u2$/);
});

function fileOf(word: string): string {
  return `${word.replace('=', '_').replaceAll(':', '%3a')}_amd64.deb`;
}
