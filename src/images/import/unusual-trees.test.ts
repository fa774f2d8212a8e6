// What archives hold that tools stumble over: it is kept, or refused by its name before any program sees it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tarOf } from '../../../test/support/container-image.ts';
import { importOf } from '../../../test/support/imported-image.ts';
import { realHost } from '../../host/host.ts';

/** @returns directories below each other, with a file in the last */
const nested = (names: readonly string[]) => tarOf([{ path: [...names, 'end'].join('/'), body: 'end' }]);

test('500 directories below each other, and paths of 2,000 bytes, come out whole (8.8, 12.8)', async (t) => {
  const deep = await importOf(t, nested(Array.from({ length: 499 }, () => 'd')));
  assert.equal(deep.debugfs(`cat ${'/d'.repeat(499)}/end`), 'end');
  // 1,000 bytes and more, whatever the length of each name: mke2fs doubles its buffer at 255, 510 and 1,020 bytes.
  for (const length of [1, 2, 3, 84, 124, 254, 255]) {
    const names = Array.from({ length: Math.min(499, Math.floor(1996 / (length + 1))) }, () => 'n'.repeat(length));
    const image = await importOf(t, nested(names));
    assert.equal(image.debugfs(`cat /${names.join('/')}/end`), 'end', `names of ${length} bytes`);
  }
  const longest = [...Array.from({ length: 7 }, () => 'n'.repeat(249)), 'x'.repeat(246), 'end'].join('/');
  assert.equal(longest.length, 2000);
  assert.equal((await importOf(t, tarOf([{ path: longest, body: 'x' }]))).debugfs(`cat /${longest}`), 'x');
});

const TOO_FAR: Record<string, [path: string, reason: RegExp]> = {
  'more than 500 directories': ['d/'.repeat(501), /lies more than 500 directories deep/],
  '1,500 directories': ['d/'.repeat(1500), /lies more than 500 directories deep/],
  'a path of more than 2,000 bytes': [
    [...Array.from({ length: 8 }, () => 'n'.repeat(249)), 'x'].join('/'),
    /a path of more than 2000 bytes/,
  ],
  'a name of more than 255 bytes': ['n'.repeat(256), /a name of more than 255 bytes/],
};

for (const [name, [path, reason]] of Object.entries(TOO_FAR)) {
  test(`${name} are refused before mke2fs sees them (8.8, 12.8)`, async (t) => {
    const host = {
      ...realHost,
      runConfined: (...given: Parameters<typeof realHost.runConfined>) => {
        assert.deepEqual(given[0], ['true']);
        return realHost.runConfined(...given);
      },
    };
    await assert.rejects(importOf(t, tarOf([{ path, type: path.endsWith('/') ? 'directory' : 'file' }]), { host }), {
      code: 'INVALID_INPUT',
      message: reason,
    });
  });
}

test('a tool that crashes over an image is told by name, and leaves nothing (8.8, 12.8)', async (t) => {
  for (const [broken, said] of [
    ["mke2fs() { sh -c 'kill -SEGV $$'; }", /was ended by SIGSEGV: .*mke2fs ended with status 139/],
    ["tar() { sh -c 'kill -ABRT $$'; }", /was ended by SIGABRT: .*tar ended with status 134/],
    ['mke2fs() { echo no room >&2; return 1; }', /ended with status 1: .*mke2fs ended with status 1/],
  ] as const) {
    const host = {
      ...realHost,
      runConfined: ([shell = '', flags = '', c = '', script = '', ...words]: readonly string[], ...rest: [never, never]) =>
        realHost.runConfined(shell === 'sh' ? [shell, flags, c, `${broken}\n${script}`, ...words] : [shell], ...rest),
    };
    await assert.rejects(importOf(t, tarOf([{ path: 'a', body: 'a' }]), { host: host as typeof realHost }), {
      code: 'COMMAND_FAILED',
      message: said,
    });
  }
});
