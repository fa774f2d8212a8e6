// A small system in the form of Void's packages that really boots: files of Debian's packages under Void's names and in Void's
// layout, with Debian's kernel. Only programs that Debian does not have are stand-ins.
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { realHost } from '../../../src/host/host.ts';
import { fetchKernel, kernelVersion, parsePackageStanza } from '../../../src/images/bundle/kernel.ts';
import { INITRAMFS_MODULES, loadOrder, moduleDependencies, moduleName } from '../../../src/images/bundle/modules.ts';
import { installPackages, packageOrigin, parsePackageList } from '../../../src/images/bundle/root-packages.ts';
import { createStepCache } from '../../../src/images/bundle/step-cache.ts';
import { resolveDirectories } from '../../../src/lib/directories.ts';
import { readTar, type TarEntry } from '../../../src/lib/tar.ts';
import type { Piece } from './container-image.ts';
import { newSigner, packageOf, type Recipe, writeRepository } from './void-repository.ts';

const IMAGES = join(import.meta.dirname, '../../..', 'images');
/** What determines the content of the repository. */
const INPUTS = [import.meta.filename, join(IMAGES, 'void/packages.txt'), join(IMAGES, '../src/images/bundle/modules.ts')];
const DEBIAN_PACKAGES = ['runit-init', 'openssh-server', 'iproute2', 'procps', 'kmod', 'e2fsprogs'];
/** The Debian packages whose files are in the Void package of that name; all other files are in the C library's. */
const NAMES: Readonly<Record<string, string>> = {
  ...{ bash: 'bash', coreutils: 'coreutils', dash: 'dash', findutils: 'findutils', grep: 'grep', gzip: 'gzip', sed: 'sed', tar: 'tar' },
  ...{ 'openssh-server': 'openssh', 'openssh-client': 'openssh', passwd: 'shadow', procps: 'procps-ng', 'util-linux': 'util-linux' },
  ...{ kmod: 'kmod', e2fsprogs: 'e2fsprogs', iproute2: 'iproute2', runit: 'runit', 'runit-init': 'runit' },
};
const LEFT_OUT =
  /^usr\/share\/(doc|man|info|locale|i18n|perl5|bash-completion)\/|^var\/(lib\/(dpkg|apt|systemd)|cache)\/|^etc\/(runit|sv|service|init\.d)(\/|$)|^usr\/lib\/(systemd|udev)\//;

/** Void's places for what Debian keeps in several places. */
function placeInVoid(path: string): string {
  if (path === 'usr/lib/runit/runit-init') return 'usr/bin/runit-init';
  return path
    .replace(/^(usr\/)?sbin\//, 'usr/bin/')
    .replace(/^bin\//, 'usr/bin/')
    .replace(/^(usr\/)?lib64\//, 'usr/lib/')
    .replace(/^lib\//, 'usr/lib/');
}

/** Runs the `post` scripts in pkgdb and marks packages as configured: the part of the real program that a build uses. */
const XBPS_RECONFIGURE = `#!/usr/bin/perl
use strict; use warnings; use MIME::Base64;
my $file = '/var/db/xbps/pkgdb-0.38.plist';
open(my $in, '<', $file) or die "$file: $!"; local $/; my $text = <$in>; close $in;
my %entry = map { $_->[0] => $_->[1] } map { /^\\t<key>([^<]+)<\\/key>\\n(\\t<dict>.*?\\n\\t<\\/dict>)/ms ? [$1, $2] : () } split /(?=^\\t<key>)/m, $text;
my $force = $ARGV[0] eq '-f' && shift @ARGV;
my @names = $ARGV[0] eq '-a' ? sort keys %entry : @ARGV;
for my $name (@names) {
  my $old = $entry{$name} // die "$name is not installed\\n";
  next unless $force || $old =~ /<string>unpacked<\\/string>/;
  print "$name: configuring ...\\n";
  my ($version) = $old =~ /<key>pkgver<\\/key>\\s*<string>\\Q$name\\E-([^<]+)</;
  if ($old =~ /<key>install-script<\\/key>\\s*<data>([^<]*)</) {
    open(my $out, '>', '/tmp/.xbps-script') or die; print $out decode_base64($1); close $out;
    system('/bin/sh', '/tmp/.xbps-script', 'post', $name, $version, 'no', 'no', 'x86_64') == 0 or die "$name: INSTALL failed\\n";
    unlink '/tmp/.xbps-script';
  }
  (my $new = $old) =~ s/<string>unpacked</<string>installed</;
  $text =~ s/\\Q$old\\E/$new/;
  $entry{$name} = $new;
}
open(my $out, '>', $file) or die; print $out $text; close $out;
`;

/** Further files of Void's packages. */
const EXTRA: Readonly<Record<string, Recipe>> = {
  'base-files': {
    pkgver: 'base-files-0.145_1',
    install: `case "$1" in
pre) for d in boot home mnt opt var/log var/empty; do [ -d $d ] || install -d $d; done; ln -sfn ../run var/run ;;
post) [ -d var/log ] || exit 1; pwconv ;;
esac
`,
    files: [
      ...[
        ['bin', 'usr/bin'],
        ['sbin', 'usr/bin'],
        ['lib', 'usr/lib'],
        ['lib64', 'usr/lib'],
        ['usr/sbin', 'bin'],
        ['usr/lib64', 'lib'],
      ].map(([path = '', linkPath = '']): Piece => ({ path: `./${path}`, type: 'symlink', mode: 0o777, linkPath })),
      { path: './etc/os-release', body: 'NAME="Void"\nID="void"\n' },
      { path: './etc/fstab', body: 'tmpfs /tmp tmpfs defaults,nosuid,nodev 0 0\n' },
    ],
    props: { run_depends: ['xbps-triggers>=0.1_1'] },
  },
  'xbps-triggers': { pkgver: 'xbps-triggers-0.130_1' },
  xbps: {
    pkgver: 'xbps-0.60.7_1',
    files: [{ path: './usr/bin/xbps-reconfigure', mode: 0o755, body: XBPS_RECONFIGURE }],
    props: { run_depends: ['glibc>=2.0_1'] },
  },
  'runit-void': {
    pkgver: 'runit-void-20250212_1',
    install: `[ "$1" = pre ] && exit 0
mkdir -p etc/runit/runsvdir/default
[ -e etc/sv/agetty-tty1/down ] || ln -sfn /etc/sv/agetty-tty1 etc/runit/runsvdir/default
`,
    files: [
      { path: './usr/bin/init', type: 'symlink', mode: 0o777, linkPath: 'runit-init' },
      stage('1', 'mkdir -p /run/runit /run/lock\nfor f in /etc/runit/core-services/*.sh; do . $f; done'),
      stage(
        '2',
        `runsvchdir default
mkdir -p /run/runit/runsvdir && ln -s /etc/runit/runsvdir/current /run/runit/runsvdir/current
exec env - PATH=$PATH runsvdir -P /run/runit/runsvdir/current`,
      ),
      stage(
        '3',
        'sv force-stop /var/service/*\npkill --inverse -s0,1 -TERM\nsleep 1\npkill --inverse -s0,1 -KILL\nsync\numount -r -a -t nosysfs,noproc,nodevtmpfs,notmpfs\nmount -o remount,ro /',
      ),
      ...['stopit', 'reboot'].map((name): Piece => ({
        path: `./etc/runit/${name}`,
        type: 'symlink',
        mode: 0o777,
        linkPath: `/run/runit/${name}`,
      })),
      { path: './etc/runit/core-services/03-filesystems.sh', body: 'touch /run/root-was-read-only\n' },
      {
        path: './etc/runit/core-services/05-misc.sh',
        body: 'ip link set up dev lo\nread -r HOSTNAME < /etc/hostname && echo "$HOSTNAME" > /proc/sys/kernel/hostname\n',
      },
      { path: './etc/sv/agetty-tty1/run', mode: 0o755, body: '#!/bin/sh\nexec pause\n' },
    ],
    props: { run_depends: ['runit>=1.0_1', 'util-linux>=1.0_1', 'procps-ng>=0'] },
  },
  dash: {
    pkgver: 'dash-0.5_1',
    props: { alternatives: new Map([['sh', ['sh:/usr/bin/dash']]]), run_depends: ['glibc>=2.0_1'] },
  },
  openssh: {
    pkgver: 'openssh-9.9p1_1',
    install: '[ "$1" = pre ] || mkdir -p -m 0755 run/sshd var/chroot/ssh\n',
    files: [{ path: './etc/sv/sshd/run', mode: 0o755, body: '#!/bin/sh\nmkdir -p /run/sshd\nexec /usr/bin/sshd -D -e\n' }],
    props: { run_depends: ['glibc>=2.0_1'] },
  },
  linux: { pkgver: 'linux-6.1_1', props: { run_depends: ['linux6.1>=6.1_1', 'linux-firmware-network>=1_1', 'dracut>=1_1'] } },
};

function stage(name: string, script: string): Piece {
  return { path: `./etc/runit/${name}`, mode: 0o755, body: `#!/bin/sh\nPATH=/usr/bin:/usr/sbin\n${script}\n` };
}

export type VoidRepository = {
  /** Directory with the index and the packages; made once, then kept. */
  directory: string;
  /** Directory with the public key. */
  keys: string;
  /** uname -r of its kernel. */
  kernelVersion: string;
};

/** Makes the repository, which takes a minute, and keeps it for the next run. */
export async function voidRepository(): Promise<VoidRepository> {
  const origin = await packageOrigin(realHost);
  const { stdout } = await realHost.run(['apt-cache', 'show', '--no-all-versions', 'linux-image-amd64']);
  const name = /^Depends: (linux-image-[^\s,(]+)/m.exec(stdout)?.[1] ?? '';
  const kernel = parsePackageStanza((await realHost.run(['apt-cache', 'show', '--no-all-versions', name])).stdout);
  if (kernel === undefined) throw new Error('apt knows no kernel');
  const cacheDirectory = join(resolveDirectories(process.env, homedir(), process.getuid?.() ?? 0).cacheDirectory, 'test-roots');
  await mkdir(cacheDirectory, { recursive: true });
  const signal = AbortSignal.timeout(900_000);
  const options = { signal, onLine: (): void => undefined };
  const cache = createStepCache({ cacheDirectory, host: realHost, signal, force: false, onStage: () => undefined });
  const hash = (...parts: string[]): string => createHash('sha256').update(parts.join('\n')).digest('hex');
  const request = {
    origin,
    packages: DEBIAN_PACKAGES,
    scripts: join(IMAGES, 'debian'),
    sourceDateEpoch: 1_767_225_600,
    userId: process.getuid?.() ?? 0,
  };
  const rootKey = hash(JSON.stringify([DEBIAN_PACKAGES, origin]));
  const install = (directory: string) => installPackages(request, directory, realHost, options);
  const root = await cache.run({ name: 'void-root', key: rootKey, outputs: ['root.tar'], apply: install });
  const kernelKey = hash(kernel.name, kernel.sha256);
  const fetch = (directory: string) => fetchKernel(kernel, directory, realHost, options);
  const tree = await cache.run({ name: 'void-kernel', key: kernelKey, outputs: [], apply: fetch });
  const made = await cache.run({
    name: 'void-repository',
    key: hash(rootKey, kernelKey, ...INPUTS.map((path) => readFileSync(path, 'utf8'))),
    outputs: ['x86_64-repodata', 'keys/test.pem'],
    apply: async (directory) => {
      const signer = newSigner();
      await mkdir(join(directory, 'keys'));
      await writeFile(join(directory, 'keys/test.pem'), signer.pem);
      const recipes = [...(await systemRecipes(root.outputs['root.tar']?.path ?? '')), await kernelRecipe(tree.directory)];
      writeRepository(
        directory,
        recipes.map((recipe) => packageOf(recipe)),
        signer,
      );
    },
  });
  return { directory: made.directory, keys: join(made.directory, 'keys'), kernelVersion: await kernelVersion(tree.directory) };
}

/** As in Void: the kernel, and its modules in /usr. Only modules that a VM loads are included, so that the test is quick. */
async function kernelRecipe(tree: string): Promise<Recipe> {
  const version = await kernelVersion(tree);
  const modules = join(tree, 'lib/modules', version);
  const files = readdirSync(modules, { recursive: true, encoding: 'utf8' });
  const pathOf = new Map(files.filter((path) => path.endsWith('.ko')).map((path) => [moduleName(path), path]));
  const wanted = await loadOrder([...INITRAMFS_MODULES, 'loop', 'dummy'], async (name) => {
    const path = pathOf.get(name);
    return path === undefined ? undefined : moduleDependencies(readFileSync(join(modules, path)));
  });
  const kept = [...wanted.map((name) => pathOf.get(name) ?? ''), 'modules.builtin', 'modules.order'];
  const place = `./usr/lib/modules/${version}`;
  return {
    pkgver: 'linux6.1-6.1.192_1',
    files: [
      { path: `./boot/vmlinuz-${version}`, body: readFileSync(join(tree, 'boot', `vmlinuz-${version}`)) },
      ...kept.map((path): Piece => ({ path: `${place}/${path}`, body: readFileSync(join(modules, path)) })),
      { path: `${place}/modules.dep`, body: '' },
    ],
    install: `[ "$1" = pre ] || depmod "${version}"\n`,
    props: { preserve: true, run_depends: ['kmod>=1_1'] },
  };
}

async function systemRecipes(rootTar: string): Promise<Recipe[]> {
  const pieces = await readPieces(rootTar);
  const owners = ownersOf(pieces);
  const filesOf = new Map<string, Map<string, Piece>>();
  for (const piece of pieces) {
    const path = placeInVoid(piece.path);
    if (
      piece.type === 'directory' ||
      piece.type === 'device' ||
      LEFT_OUT.test(piece.path) ||
      path === 'usr/bin/init' ||
      path === 'usr/bin/sh'
    )
      continue;
    if (/^(bin|sbin|lib|lib64|libx?32|usr\/lib(64|x?32)|var\/(run|lock)|etc\/(os-release|fstab))$/.test(piece.path)) continue;
    const name = owners.get(piece.path) ?? 'glibc';
    const link = piece.type === 'hardlink' ? { linkPath: `./${placeInVoid(piece.linkPath ?? '')}` } : {};
    const files = filesOf.get(name) ?? new Map<string, Piece>();
    // Debian has links from /usr/sbin to programs in /usr/bin; in Void these are one directory.
    if (piece.type !== 'symlink' || !files.has(path)) files.set(path, { ...piece, ...link, path: `./${path}` });
    filesOf.set(name, files);
  }
  const listed = parsePackageList(readFileSync(join(IMAGES, 'void/packages.txt'), 'utf8'));
  const names = new Set([...listed, ...filesOf.keys(), ...Object.keys(EXTRA)]);
  return [...names].map((name) => {
    const extra = EXTRA[name] ?? { pkgver: `${name}-1.0_1`, props: name === 'glibc' ? {} : { run_depends: ['glibc>=1.0_1'] } };
    const pkgver = name === 'glibc' ? 'glibc-2.36_1' : extra.pkgver;
    return { ...extra, pkgver, files: [...(filesOf.get(name)?.values() ?? []), ...(extra.files ?? [])] };
  });
}

type Entry = Piece & Pick<TarEntry, 'type'>;

async function readPieces(path: string): Promise<Entry[]> {
  const pieces: Entry[] = [];
  let chunks: Buffer[] = [];
  await readTar(createReadStream(path, { highWaterMark: 1024 ** 2 }) as AsyncIterable<Buffer>, {
    entry: async (entry) => {
      chunks = [];
      pieces.push({ ...entry, path: entry.path.replace(/^\.\//, '').replace(/\/$/, ''), linkPath: entry.linkPath.replace(/^\.\//, '') });
    },
    content: async (bytes) => void chunks.push(Buffer.from(bytes)),
    entryEnd: async () => {
      const last = pieces.at(-1);
      if (last?.type === 'file') last.body = Buffer.concat(chunks);
    },
  });
  return pieces;
}

/** By the lists that dpkg keeps of its packages; they name paths as they were before /bin, /sbin and /lib were links. */
function ownersOf(pieces: readonly Entry[]): Map<string, string> {
  const owners = new Map<string, string>();
  for (const { path, body } of pieces) {
    const name = NAMES[/^var\/lib\/dpkg\/info\/([^:]+?)(:amd64)?\.list$/.exec(path)?.[1] ?? ''];
    if (name === undefined) continue;
    for (const line of String(body).split('\n'))
      owners.set(
        line.replace(/^\/((s?bin|lib|lib64)\/)?/, (_all, top: string | undefined) => (top === undefined ? '' : `usr/${top}`)),
        name,
      );
  }
  return owners;
}
