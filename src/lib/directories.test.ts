import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { ensurePrivateDirectory, resolveDirectories } from './directories.ts';
import { PlaceProblem } from './own-place.ts';

test('without any variable everything lies in the XDG defaults, the socket in a directory of the user in /tmp (2.1)', () => {
  assert.deepEqual(resolveDirectories({}, '/home/u', 1000), {
    configPath: '/home/u/.config/banger/config.toml',
    stateDirectory: '/home/u/.local/state/banger',
    cacheDirectory: '/home/u/.cache/banger',
    runtimeDirectory: '/tmp/banger-1000',
    socketPath: '/tmp/banger-1000/bangerd.sock',
    daemonLogPath: '/home/u/.local/state/banger/bangerd.log',
  });
});

test('XDG variables move them, relative ones are ignored (2.1)', () => {
  const env = { XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '/s', XDG_CACHE_HOME: 'relative', XDG_RUNTIME_DIR: '/run/user/7' };
  const found = resolveDirectories(env, '/h', 7);
  assert.equal(found.configPath, '/c/banger/config.toml');
  assert.equal(found.stateDirectory, '/s/banger');
  assert.equal(found.cacheDirectory, '/h/.cache/banger');
  assert.equal(found.socketPath, '/run/user/7/banger/bangerd.sock');
});

test('the variables of banger win over XDG, so daemons can live side by side (2.1)', () => {
  const env = {
    BANGER_CONFIG: '/x/c.toml',
    BANGER_STATE_DIR: '/x/s/',
    BANGER_CACHE_DIR: '/x/k',
    BANGER_RUNTIME_DIR: '/x/r',
    XDG_RUNTIME_DIR: '/y',
  };
  const found = resolveDirectories(env, '/h', 7);
  assert.equal(found.configPath, '/x/c.toml');
  assert.equal(found.stateDirectory, '/x/s');
  assert.equal(found.cacheDirectory, '/x/k');
  assert.equal(found.runtimeDirectory, '/x/r');
});

test('a relative variable of ours and a socket path too long for the kernel are refused with a remedy (2.1)', () => {
  assert.throws(() => resolveDirectories({ BANGER_STATE_DIR: 'here' }, '/h', 7), /BANGER_STATE_DIR is "here"/);
  const long = `/${'x'.repeat(90)}`;
  assert.throws(
    () => resolveDirectories({ BANGER_RUNTIME_DIR: long }, '/h', 7),
    (e) => e instanceof PlaceProblem && /104 bytes/.test(e.message) && /BANGER_RUNTIME_DIR/.test(e.remedy),
  );
});

test('the runtime directory is made closed, closed when open, and refused when foreign or a link (1.1)', () => {
  const base = mkdtempSync(`${tmpdir()}/banger-test-`);
  try {
    ensurePrivateDirectory(`${base}/a`);
    assert.equal(statSync(`${base}/a`).mode & 0o777, 0o700);
    mkdirSync(`${base}/b`);
    chmodSync(`${base}/b`, 0o755);
    ensurePrivateDirectory(`${base}/b`);
    assert.equal(statSync(`${base}/b`).mode & 0o777, 0o700);
    symlinkSync(`${base}/a`, `${base}/link`);
    assert.throws(() => ensurePrivateDirectory(`${base}/link`), /is a link/);
  } finally {
    rmSync(base, { recursive: true });
  }
});

test('a directory is not made where others can move it away, and one that was open holds nothing of others (1.1, 12.8)', () => {
  const base = mkdtempSync(`${tmpdir()}/banger-test-`);
  try {
    chmodSync(base, 0o777);
    assert.throws(() => ensurePrivateDirectory(`${base}/a/b`), {
      name: 'PlaceProblem',
      message: /others may move/,
      remedy: `chmod go-w ${base}`,
    });
    chmodSync(base, 0o1777);
    ensurePrivateDirectory(`${base}/a/b`);
    assert.equal(statSync(`${base}/a/b`).mode & 0o777, 0o700);
    chmodSync(`${base}/a/b`, 0o777);
    symlinkSync('/etc/passwd', `${base}/a/b/network.log`);
    assert.throws(() => ensurePrivateDirectory(`${base}/a/b`), { name: 'PlaceProblem', message: /network\.log is not yours/ });
  } finally {
    rmSync(base, { recursive: true });
  }
});

test(
  "no directory is made in another user's, whatever is to be kept there (1.1, 12.8)",
  { skip: process.getuid?.() !== 0 && 'only root can make what belongs to another user' },
  () => {
    const base = mkdtempSync(`${tmpdir()}/banger-test-`);
    try {
      mkdirSync(`${base}/home`);
      chownSync(`${base}/home`, 54_321, 54_321);
      assert.throws(() => ensurePrivateDirectory(`${base}/home/.local/state/banger`), {
        name: 'PlaceProblem',
        message: /home belongs to uid 54321/,
      });
      assert.deepEqual(readdirSync(`${base}/home`), []);
    } finally {
      rmSync(base, { recursive: true });
    }
  },
);

test('a place where no directory can be made is refused with a remedy, and never tried for ever (1.1, 1.6)', () => {
  const base = mkdtempSync(`${tmpdir()}/banger-test-`);
  try {
    ensurePrivateDirectory(`${base}/some/where/deep`);
    assert.equal(statSync(`${base}/some/where`).mode & 0o777, 0o700);
    writeFileSync(`${base}/file`, '');
    for (const place of ['/proc/banger', '/proc/banger/state', `${base}/file/state`]) {
      assert.throws(
        () => ensurePrivateDirectory(place),
        (error) => error instanceof PlaceProblem && /cannot be made/.test(error.message) && error.remedy !== '',
        place,
      );
    }
  } finally {
    rmSync(base, { recursive: true });
  }
});
