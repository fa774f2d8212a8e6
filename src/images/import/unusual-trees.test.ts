// What archives hold that tools stumble over: it is kept, or refused by its name before any program sees it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { tarOf } from '../../../test/support/images/container-image.ts';
import { directoryFor, importOf } from '../../../test/support/images/imported-image.ts';
import { decodeName } from '../../lib/byte-names.ts';
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

test('the error names a tool that crashes over an image, and nothing is left (8.8, 12.8)', async (t) => {
  for (const [broken, said] of [
    ["mke2fs() { sh -c 'kill -SEGV $$'; }", /was ended by SIGSEGV: .*mke2fs ended with status 139/],
    ["tar() { sh -c 'kill -ABRT $$'; }", /was ended by SIGABRT: .*tar ended with status 134/],
    // As on tmpfs before Linux 6.6.
    [
      `tar() { command tar "$@"; echo "tar: ./a: Warning: Cannot set 'user.x' extended attribute" >&2; }`,
      /not everything can be kept: tar: \.\/a: .*user\.x/,
    ],
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

const latin1 = (text: string): string => decodeName(Buffer.from(text, 'latin1'));

test('names keep their bytes, which no two share, whatever they mean (8.8, 11.10)', async (t) => {
  const names = [
    'opt/caf\xe9',
    'opt/caf\xea',
    'opt/\xff\xfe',
    'opt/\xc3',
    'opt/\xc3\xa9',
    'opt/\xed\xa0\x80',
    'opt/ \t"quoted"',
    'opt/\\xe9',
    'opt/\x1b[31m',
  ];
  const long = `opt/${'\xe9'.repeat(200)}`;
  const image = await importOf(
    t,
    tarOf([
      ...[...names, long].map((name) => ({ path: latin1(name), body: name.slice(4) })),
      { path: 'opt/link', type: 'symlink', linkPath: latin1('caf\xe9') },
      { path: 'opt/same', type: 'hardlink', linkPath: latin1('opt/caf\xea') },
    ]),
  );
  for (const name of [...names, long]) {
    assert.equal(
      image.debugfs(`cat "/${name.replaceAll('"', '""')}"`),
      Buffer.from(name.slice(4)).toString('latin1'),
      JSON.stringify(name),
    );
  }
  assert.match(image.debugfs('stat /opt/link'), /caf\xe9/);
  assert.equal(image.debugfs('cat /opt/same'), 'caf\xea'.replace('\xea', '\xc3\xaa'));
});

test('times from before 1970 until 2446 are kept, and an error about another one names the file (8.8, 11.10)', async (t) => {
  const times = {
    before: -86_400,
    oldest: -(2 ** 31),
    zero: 0,
    last32: 2 ** 31 - 1,
    late: 2 ** 31,
    y2100: 4_102_444_800,
    octal: 8_589_934_592,
    last: 15_032_385_535,
  };
  const pieces = Object.entries(times).map(([name, seconds]) => ({ path: `root/"${name}" \xe9`, modifiedMs: seconds * 1000 }));
  const image = await importOf(t, tarOf([{ path: 'root', type: 'directory', modifiedMs: 4_102_444_800_000 }, ...pieces]));
  for (const [name, seconds] of Object.entries(times)) {
    for (const [ask, directory] of [
      [image.debugfs, '/root'],
      [image.seed, ''],
    ] as const) {
      const stat = ask(`stat "${directory}/""${name}"" ${Buffer.from('\xe9').toString('latin1')}"`);
      const [, low = '', high = ''] = /mtime: 0x([0-9a-f]+):([0-9a-f]+)/.exec(stat) ?? [];
      assert.equal((Number.parseInt(low, 16) | 0) + (Number.parseInt(high, 16) & 3) * 2 ** 32, seconds, `${name}: ${stat}`);
    }
  }
  for (const seconds of [-(2 ** 31) - 1, 15_032_385_536, 1e15]) {
    const late = importOf(t, tarOf([{ path: 'etc/odd', modifiedMs: seconds * 1000 }]));
    await assert.rejects(late, { code: 'INVALID_INPUT', message: /"etc\/odd" is -?\d+ s from 1970/ });
  }
});

for (const format of ['gnu', 'posix', 'posix --sparse-version=0.0', 'posix --sparse-version=0.1', 'posix --sparse-version=1.0']) {
  test(`files with holes that tar --format=${format} stored are whole, and cost only their data (8.8, 11.10)`, async (t) => {
    const directory = directoryFor(t);
    const file = (name: string, sizeBytes: number, pieces: readonly number[]): void => {
      const handle = openSync(join(directory, name), 'w');
      for (const at of pieces) writeSync(handle, `piece at ${at}\n`, at);
      ftruncateSync(handle, sizeBytes);
      closeSync(handle);
    };
    file('database', 10 * 1024 ** 3, [0, 5 * 1024 ** 3, 10 * 1024 ** 3 - 100]);
    file('empty', 1024 ** 3, []);
    file('dense', 10_000, [0, 3]);
    file(
      'long'.repeat(40),
      10 * 1024 ** 2,
      Array.from({ length: 60 }, (_, at) => at * 102_400),
    );
    const archive = execFileSync('tar', ['-C', directory, '-S', '-c', ...`--format=${format}`.split(' '), '.'], { maxBuffer: 1024 ** 3 });
    const image = await importOf(t, archive);
    const stat = image.debugfs('stat /database');
    assert.match(stat, /Size: 10737418240/);
    assert.ok(Number(/Blockcount: (\d+)/.exec(stat)?.[1]) < 200, stat);
    assert.match(image.debugfs('stat /empty'), /Size: 1073741824[^]*Blockcount: 0/);
    assert.match(image.debugfs('cat /dense'), /^piepiece at 3\n\0+$/);
    const long = image.debugfs(`cat /${'long'.repeat(40)}`);
    assert.equal(long.length, 10 * 1024 ** 2);
    for (const at of [0, 1, 59]) assert.match(long.slice(at * 102_400, at * 102_400 + 30), new RegExp(`^piece at ${at * 102_400}\n\0`));
  });
}

/** As acl(5) lies in an attribute (linux/posix_acl_xattr.h): version 2, then tag, permissions and id of each entry. */
function aclOf(...entries: readonly (readonly [tag: number, permissions: number, id?: number])[]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2);
  for (const [at, [tag, permissions, id = 0xffff_ffff]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * at);
    bytes.writeUInt16LE(permissions, 6 + 8 * at);
    bytes.writeUInt32LE(id, 8 + 8 * at);
  }
  return bytes;
}

test('access control lists are kept, those of a journal for one, with the modes that go with them (8.8, 11.10)', async (t) => {
  // user::rwx group::r-x group:4:r-x mask::r-x other::r-x
  const acl = aclOf([1, 7], [4, 5], [8, 5, 4], [16, 5], [32, 5]);
  const xattrs = new Map([
    ['system.posix_acl_access', acl],
    ['system.posix_acl_default', acl],
  ]);
  const image = await importOf(
    t,
    tarOf([
      { path: 'journal', type: 'directory', mode: 0o2755, gid: 999, xattrs },
      { path: 'file', mode: 0o644, xattrs: new Map([['system.posix_acl_access', aclOf([1, 6], [2, 4, 1000], [4, 4], [16, 4], [32, 4])]]) },
    ]),
  );
  assert.match(image.debugfs('ea_list /journal'), /system\.posix_acl_access[^]*system\.posix_acl_default/);
  assert.match(image.debugfs('ea_list /file'), /system\.posix_acl_access/);
  assert.match(image.debugfs('stat /journal'), /Mode: +02755/);
  assert.match(image.debugfs('stat /file'), /Mode: +0644/);
});

/** A tar of files and directories that GNU tar writes, with a record in the header of each. */
function tarWithRecord(t: TestContext, record: string, files: Readonly<Record<string, string>>): Buffer {
  const directory = directoryFor(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return execFileSync('tar', ['-C', directory, '--format=posix', `--pax-option=${record}`, '-c', '.']);
}

const USERS = { 'etc/passwd': 'root:x:0:0::/:/bin/sh\nlisa:x:4321:1::/:\nlisa:x:9:1::/:\n', 'etc/group': 'adm:x:4:\n' };
const LISTS: Record<string, [text: string, acl: Buffer]> = {
  'by names of the image, as GNU tar writes it': [
    'user::rw-\nuser:lisa:rw-\ngroup::r--\ngroup:adm:r-x\nmask::rwx\nother::---\n',
    aclOf([1, 6], [2, 6, 4321], [4, 4], [8, 5, 4], [16, 7], [32, 0]),
  ],
  'with a number behind a name that the image lacks, in any order, as bsdtar writes it': [
    'user::rwx\ngroup::r-x\nother::r-x\nuser:mia:rw-:77\nuser:12:r--\nmask::rwx',
    aclOf([1, 7], [2, 4, 12], [2, 6, 77], [4, 5], [16, 7], [32, 5]),
  ],
  'without a mask, and in short': ['u::rwx\nu:5:r\ng::rw-#effective:r--\no:x', aclOf([1, 7], [2, 4, 5], [4, 6], [16, 6], [32, 1])],
};

for (const [name, [text, acl]] of Object.entries(LISTS)) {
  test(`an access control list as text, ${name}, becomes one (8.8, 11.10)`, async (t) => {
    const image = await importOf(t, tarWithRecord(t, `SCHILY.acl.access:=${text}`, USERS));
    const expected = await importOf(t, tarOf([{ path: 'x', xattrs: new Map([['system.posix_acl_access', acl]]) }]));
    const listOf = (stat: string): string | undefined => /posix_acl_access.*/.exec(stat)?.[0];
    assert.notEqual(listOf(expected.debugfs('stat /x')), undefined);
    assert.equal(listOf(image.debugfs('stat /etc/passwd')), listOf(expected.debugfs('stat /x')));
    assert.match(image.debugfs('stat /etc'), /Mode: +0[0-7]{3} [^]*posix_acl_access/);
  });
}

test('an access control list that cannot be kept is refused by the name of the file (8.8, 11.10)', async (t) => {
  for (const [record, reason] of [
    [
      'SCHILY.acl.default:=user::rwx\nuser:mia:r--\nother::r',
      /the access list of "(etc|\.?)" names the user "mia", which the image does not have/,
    ],
    ['SCHILY.acl.access:=user::rwz', /"user::rwz" in the access list of .* is not a valid entry/],
    ['SCHILY.acl.ace:=owner@:rwxp:allow', /has an access list of NFS/],
  ] as const) {
    await assert.rejects(importOf(t, tarWithRecord(t, record, USERS)), { code: 'INVALID_INPUT', message: reason });
  }
});

test("the root and the home, each the first directory of a disk, get the image's attributes (8.8, 11.10)", async (t) => {
  const like = (mode: number, uid: number, seconds: number) =>
    ({ type: 'directory', mode, uid, gid: 60_000, modifiedMs: seconds * 1000 }) as const;
  const image = await importOf(
    t,
    tarOf([
      { path: './', ...like(0o1711, 7, -1) },
      { path: 'root/', ...like(0o2700, 3, 2 ** 33) },
    ]),
  );
  assert.match(image.debugfs('stat /'), /Mode:\s+01711[^]*User:\s+7\s+Group: 60000[^]*mtime: 0xffffffff:00000000/);
  for (const stat of [image.debugfs('stat /root'), image.seed('stat /')])
    assert.match(stat, /Mode:\s+02700[^]*User:\s+3\s+Group: 60000[^]*mtime: 0x00000000:00000002/);
  assert.match((await importOf(t, tarOf([{ path: 'a' }]))).seed('stat /'), /Mode:\s+0700[^]*User:\s+0/);
});

test('fractions of seconds stay, also before 1970 and after 2038 (8.8, 11.10)', async (t) => {
  const times: Record<string, [modifiedMs: number, modifiedNs: number, low: string, high: number]> = {
    now: [1_700_000_000_000, 123_456_789, '6553f100', 123_456_789 * 4],
    before: [-7000, 999_999_999, 'fffffff9', 999_999_999 * 4],
    late: [2 ** 32 * 1000, 1, '00000000', 5],
    'line\nbreak': [1_700_000_000_000, 5, '6553f100', 0],
  };
  const image = await importOf(
    t,
    tarOf([
      ...Object.entries(times).map(([path, [modifiedMs, modifiedNs]]) => ({ path, modifiedMs, modifiedNs })),
      { path: 'same', type: 'hardlink', linkPath: 'now' },
    ]),
  );
  for (const [name, [, , low, high]] of Object.entries(times)) {
    if (name.includes('\n')) continue;
    assert.ok(image.debugfs(`stat /${name}`).includes(`mtime: 0x${low}:${high.toString(16).padStart(8, '0')}`), name);
  }
});

test('attributes are kept as far as ext4 holds them, and beyond that refused by the name of the file (8.8, 11.10)', async (t) => {
  const value = Buffer.alloc(3900, 'v');
  const many = new Map(Array.from({ length: 40 }, (_, at) => [`user.n${at}`, Buffer.from([at, 0, 255])]));
  const image = await importOf(
    t,
    tarOf([
      { path: 'large', xattrs: new Map([['user.large', value]]) },
      { path: 'many', xattrs: many },
    ]),
  );
  assert.match(image.debugfs('stat /large'), /user\.large \(3900\)/);
  for (const name of many.keys()) assert.match(image.debugfs('stat /many'), new RegExp(`${name} \\(3\\)`));
  for (const xattrs of [new Map([['user.large', Buffer.alloc(4000)]]), new Map([['user.huge', Buffer.alloc(60_000)]])]) {
    await assert.rejects(importOf(t, tarOf([{ path: 'opt/x', xattrs }])), {
      code: 'INVALID_INPUT',
      message: /the attributes of "opt\/x" have/,
    });
  }
  await assert.rejects(importOf(t, tarOf([{ path: 'l', type: 'symlink', linkPath: 'x'.repeat(4096) }])), {
    message: /more than 4095 bytes/,
  });
  const longest = await importOf(t, tarOf([{ path: 'l', type: 'symlink', linkPath: 'x'.repeat(4095) }]));
  assert.match(longest.debugfs('stat /l'), /Size: 4095/);
});
