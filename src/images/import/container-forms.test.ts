// Container images as tools write them, each form reduced to what is special about it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import {
  dockerArchive,
  ociFiles,
  type Piece,
  type RunConfig,
  sha256,
  tarOf,
  writeFiles,
} from '../../../test/support/images/container-image.ts';
import { directoryFor, importOf } from '../../../test/support/images/imported-image.ts';
import { directoryArchive } from './archive.ts';
import { type ContainerConfig, readContainer } from './container.ts';
import { signalNumber } from './stop-signal.ts';

type Described = { mediaType: string; digest: string; size: number; [key: string]: unknown };
const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;
const BASE = [
  tarOf([
    { path: 'bin/', type: 'directory', mode: 0o755 },
    { path: 'bin/true', body: '#!', mode: 0o755 },
  ]),
];

/** An OCI layout that several images and other things lie in. */
function layout() {
  const files = new Map<string, Buffer>([['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')]]);
  const blob = (mediaType: string, bytes: Buffer): Described => {
    files.set(`blobs/sha256/${sha256(bytes)}`, bytes);
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  };
  const json = (mediaType: string, value: object): Described =>
    blob(`application/vnd.oci.image.${mediaType}.v1+json`, Buffer.from(JSON.stringify(value)));
  return {
    blob,
    image: (config: RunConfig, layers = BASE): Described => {
      for (const [name, bytes] of ociFiles(layers, config)) if (name.startsWith('blobs/')) files.set(name, bytes);
      const [described] = (JSON.parse(String(ociFiles(layers, config).get('index.json'))) as { manifests: Described[] }).manifests;
      const { mediaType = '', digest = '', size = 0 } = described ?? {};
      return { mediaType, digest, size };
    },
    artifact: (layerType: string, configType = 'application/vnd.oci.empty.v1+json'): Described =>
      json('manifest', {
        schemaVersion: 2,
        config: blob(configType, Buffer.from('{}')),
        layers: [blob(layerType, Buffer.from('{"signed":1}'))],
      }),
    index: (manifests: readonly Described[]): Described => json('index', { schemaVersion: 2, manifests }),
    write: (manifests: readonly Described[]) => files.set('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests }))),
  };
}

const platform = (architecture: string, variant?: string, os = 'linux') => ({
  platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
});
const called = (name: string) => ({ annotations: { 'org.opencontainers.image.ref.name': name } });
const SIGNATURE = 'application/vnd.dev.cosign.simplesigning.v1+json';

/** @returns the configuration of the image that is chosen, of which no file system is made */
async function chosen(
  t: TestContext,
  files: ReadonlyMap<string, Buffer>,
  { reference }: { reference?: string } = {},
): Promise<ContainerConfig> {
  const directory = writeFiles(join(directoryFor(t), 'layout'), files);
  const found = await readContainer(directoryArchive(directory), { reference, architecture: ARCHITECTURE }, new AbortController().signal);
  assert.ok(found !== undefined);
  return found.config;
}

describe('which image is meant', () => {
  test('the least demanding of several variants of one processor, wherever it stands (8.8)', async (t) => {
    const l = layout();
    const [one, two, three] = ['1', '2', '3'].map((LEVEL) => l.image({ Env: [`LEVEL=${LEVEL}`] })) as [Described, Described, Described];
    const variants = [
      { ...three, ...platform(ARCHITECTURE, 'v3') },
      { ...two, ...platform(ARCHITECTURE, 'v2') },
      { ...one, ...platform(ARCHITECTURE) },
      { ...three, ...platform('s390x') },
    ];
    assert.equal((await chosen(t, l.write(variants))).env['LEVEL'], '1');
    assert.equal((await chosen(t, l.write([l.index(variants)]))).env['LEVEL'], '1');
    assert.equal((await chosen(t, l.write(variants.slice(0, 2)))).env['LEVEL'], '2');
    assert.equal((await chosen(t, l.write([{ ...l.index(variants), ...called('app:1') }]), { reference: 'app:1' })).env['LEVEL'], '1');
  });

  const BESIDE: Record<string, (l: ReturnType<typeof layout>, image: Described) => Described[]> = {
    'a signature that is no manifest': (l) => [
      { ...l.blob(SIGNATURE, Buffer.from('{}')), annotations: { 'dev.cosignproject.cosign/signature': '' } },
    ],
    "cosign's tags": (l, { digest }) =>
      ['sig', 'att', 'sbom'].map((kind) => ({ ...l.artifact(SIGNATURE), ...called(`${digest.replace(':', '-')}.${kind}`) })),
    'what cosign save writes': (l) => [{ ...l.artifact(SIGNATURE), annotations: { kind: 'dev.cosignproject.cosign/sigs' } }],
    'an attestation of buildkit': (l, { digest }) => [
      {
        ...l.artifact('application/vnd.in-toto+json', 'application/vnd.oci.image.config.v1+json'),
        ...platform('unknown', undefined, 'unknown'),
      },
      {
        ...l.artifact('application/vnd.in-toto+json'),
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': digest },
      },
    ],
    'an artifact that says its type': (l) => [{ ...l.artifact('application/spdx+json'), artifactType: 'application/spdx+json' }],
    'an artifact that says nothing': (l) => [
      l.artifact('application/vnd.cyclonedx+json', 'application/vnd.oci.image.config.v1+json'),
      l.artifact(SIGNATURE),
    ],
    'the same image under another name': (_l, image) => [
      { ...image, ...called('other') },
      { ...image, annotations: { 'io.containerd.image.name': 'docker.io/library/app:2' } },
    ],
    'an index of the same image': (l, image) => [l.index([{ ...image, ...platform(ARCHITECTURE) }])],
  };

  for (const [name, beside] of Object.entries(BESIDE)) {
    test(`the image, when beside it lies ${name} (8.8)`, async (t) => {
      const l = layout();
      const image = l.image({ Env: ['IT=1'] });
      const others = beside(l, image);
      assert.equal((await chosen(t, l.write([...others, { ...image, ...called('app:1') }]))).env['IT'], '1');
      assert.equal((await chosen(t, l.write([l.index([{ ...image, ...platform(ARCHITECTURE) }, ...others])]))).env['IT'], '1');
    });
  }

  test('the one of that digest or name, as people and tools write both (8.8)', async (t) => {
    const l = layout();
    const [one, two] = [l.image({ Env: ['N=1'] }), l.image({ Env: ['N=2'] })];
    const nested = l.index([{ ...two, ...platform(ARCHITECTURE) }]);
    const files = l.write([{ ...one, ...called('docker.io/library/app:latest') }, nested]);
    const hex = two.digest.slice('sha256:'.length);
    for (const reference of [two.digest, hex, hex.slice(0, 12), `app@${two.digest}`, nested.digest]) {
      assert.equal((await chosen(t, files, { reference })).env['N'], '2', reference);
    }
    for (const reference of ['app', 'app:latest', 'library/app', 'docker.io/library/app:latest', one.digest]) {
      assert.equal((await chosen(t, files, { reference })).env['N'], '1', reference);
    }
    for (const reference of [`sha256:${'0'.repeat(64)}`, 'app:2', hex.slice(0, 11)]) {
      await assert.rejects(chosen(t, files, { reference }), { code: 'INVALID_INPUT', message: /there is no/ });
    }
    await assert.rejects(chosen(t, files), { message: /several images: "docker\.io\/library\/app:latest"/ });
    const docker = dockerArchive(BASE, { Env: ['N=3'] }, 'docker.io/library/test:latest');
    for (const reference of ['test', 'test:latest']) assert.equal((await importOf(t, docker, { reference })).env['N'], '3');
  });
});

describe('what is null or unknown', () => {
  test('a member that is null is absent, as Go writes it, wherever it stands (8.8)', async (t) => {
    const { index, image, write } = layout();
    const nulls = Object.fromEntries(
      ['Entrypoint', 'Cmd', 'Env', 'User', 'WorkingDir', 'Volumes', 'StopSignal', 'Healthcheck'].map((key) => [key, null]),
    );
    const inner = { ...image(nulls), platform: null, annotations: null, artifactType: null };
    const config = await chosen(t, write([{ ...index([inner]), platform: null }]));
    assert.deepEqual([config.entrypoint, config.env, config.user, config.workdir, config.volumes], [[], {}, null, null, []]);
  });

  test('an image with a layer that is no file system is refused with its kind (8.8)', async (t) => {
    const { artifact, write } = layout();
    await assert.rejects(chosen(t, write([artifact('application/wasm', 'application/vnd.oci.image.config.v1+json')])), {
      code: 'INVALID_INPUT',
      message: 'the image cannot be imported: a layer of it is "application/wasm", which is no file system',
    });
  });
});

describe('what layers hold', () => {
  const importLayers = (t: Parameters<typeof importOf>[0], ...layers: Piece[][]) =>
    importOf(
      t,
      ociFiles(
        layers.map((layer) => tarOf(layer)),
        {},
      ),
    );

  test('entries from the root and hard links to names from the root mean the root of the image, as kaniko writes them (8.8)', async (t) => {
    const image = await importLayers(
      t,
      [
        { path: '/', type: 'directory', mode: 0o755 },
        { path: '/usr/bin/', type: 'directory', mode: 0o755 },
        { path: '/usr/bin/tool', body: 'tool', mode: 0o755 },
        { path: 'usr/bin/same', type: 'hardlink', linkPath: '/usr/bin/tool' },
        { path: './/usr//bin/./third', type: 'hardlink', linkPath: './usr/bin/tool' },
      ],
      [{ path: '/usr/bin/.wh.third' }],
    );
    assert.match(image.debugfs('stat /usr/bin/same'), /Links: 2/);
    assert.equal(image.debugfs('cat /usr/bin/same'), 'tool');
    assert.doesNotMatch(image.debugfs('ls /usr/bin'), /third/);
  });

  test('named pipes are made, and files that a later layer removes are not, devices included (8.8)', async (t) => {
    const image = await importLayers(
      t,
      [
        { path: 'run/pipe', type: 'fifo', mode: 0o620, uid: 5, gid: 6 },
        { path: 'run/gone', type: 'fifo' },
        { path: 'var/lib/disk', type: 'device' },
        { path: 'var/lib/replaced', type: 'device' },
        { path: 'dev/initctl', type: 'fifo' },
      ],
      [{ path: 'run/.wh.gone' }, { path: 'var/lib/.wh.disk' }, { path: 'var/lib/replaced', body: 'file' }],
    );
    assert.match(image.debugfs('stat /run/pipe'), /Type: FIFO[^]*Mode:\s+0620[^]*User:\s+5\s+Group:\s+6/);
    assert.doesNotMatch(image.debugfs('ls /run'), /gone/);
    assert.equal(image.debugfs('cat /var/lib/replaced'), 'file');
  });

  test('a layer that speaks of a directory by a link of the layers below means where the link leads, inside the image (8.8)', async (t) => {
    const image = await importLayers(
      t,
      [
        { path: 'usr/bin/old', body: 'old' },
        { path: 'bin', type: 'symlink', linkPath: 'usr/bin' },
        { path: 'out', type: 'symlink', linkPath: '../../../etc' },
        { path: 'loop', type: 'symlink', linkPath: 'loop' },
      ],
      [
        { path: 'bin/new', body: 'new' },
        { path: 'bin/.wh.old' },
        { path: 'bin/hard', type: 'hardlink', linkPath: 'bin/new' },
        { path: 'out/file', body: 'inside' },
      ],
    );
    assert.match(image.debugfs('stat /bin'), /Type: symlink/);
    assert.equal(image.debugfs('cat /usr/bin/hard'), 'new');
    assert.doesNotMatch(image.debugfs('ls /usr/bin'), /old/);
    assert.equal(image.debugfs('cat /etc/file'), 'inside');
    const looping = importLayers(t, [{ path: 'loop', type: 'symlink', linkPath: 'loop' }], [{ path: 'loop/x', body: '' }]);
    await assert.rejects(looping, { code: 'INVALID_INPUT', message: /form a loop/ });
  });

  test('archives and layers of several zstd frames are read to their end, as pzstd and chunked layers have them (8.8)', async (t) => {
    const layer = tarOf([
      { path: 'a', body: 'x'.repeat(100_000) },
      { path: 'end', body: 'end' },
    ]);
    const skipped = Buffer.from('5e2a4d1804000000aabbccdd', 'hex');
    const half = layer.length >> 1;
    const frames = Buffer.concat([
      skipped,
      zstdCompressSync(layer.subarray(0, half)),
      skipped,
      zstdCompressSync(layer.subarray(half)),
      skipped,
    ]);
    assert.equal((await importOf(t, frames)).debugfs('cat /end'), 'end');
    const directory = directoryFor(t);
    writeFileSync(join(directory, 'tar'), layer);
    execFileSync('pzstd', ['-q', '-p', '2', join(directory, 'tar')], { stdio: 'pipe' });
    assert.equal((await importOf(t, readFileSync(join(directory, 'tar.zst')))).debugfs('cat /end'), 'end');
  });
});

describe('how it is run', () => {
  test('a working directory that is not there is made, also behind a link, and one that is there stays (8.8)', async (t) => {
    const layer = tarOf([
      { path: 'srv/', type: 'directory', mode: 0o700, uid: 7 },
      { path: 'app', type: 'symlink', linkPath: '/srv/x' },
    ]);
    const made = await importOf(t, ociFiles([layer], { WorkingDir: '/app/work/deep' }));
    assert.equal(made.workdir, '/app/work/deep');
    assert.match(made.debugfs('stat /srv/x/work/deep'), /Type: directory[^]*Mode:\s+0755[^]*User:\s+0/);
    const present = await importOf(t, ociFiles([layer], { WorkingDir: '/srv/' }));
    assert.match(present.debugfs('stat /srv'), /Mode:\s+0700[^]*User:\s+7/);
    assert.equal((await importOf(t, ociFiles([layer], { WorkingDir: 'relative' }))).workdir, '/relative');
  });

  test('variables of any name are kept for the entrypoint, and written where logins and vm exec read them (8.8)', async (t) => {
    const Env = [
      'PATH=/usr/local/go/bin:/bin',
      'discovery.type=single-node',
      'my-var=a b # c',
      'HOME=/x',
      'TWO=1',
      'TWO=2',
      'LINES=a\nb',
      '__proto__=p',
      '=x',
      'none',
    ];
    const layer = tarOf([{ path: 'etc/environment', body: 'TWO=own' }]);
    const image = await importOf(t, ociFiles([layer], { Env }));
    assert.deepEqual(Object.entries(image.env), [
      ['PATH', '/usr/local/go/bin:/bin'],
      ...[
        ['discovery.type', 'single-node'],
        ['my-var', 'a b # c'],
        ['HOME', '/x'],
        ['TWO', '2'],
        ['LINES', 'a\nb'],
        ['__proto__', 'p'],
      ],
    ]);
    const text = 'TWO=own\nPATH=/usr/local/go/bin:/bin\ndiscovery.type=single-node\nmy-var="a b # c"\n__proto__=p\n';
    assert.equal(image.debugfs('cat /etc/environment'), text);
    const bare = await importOf(t, ociFiles([tarOf([{ path: 'bin/true', body: '' }])], { Env: ['A=1'] }));
    assert.equal(bare.debugfs('cat /etc/environment'), 'A=1\n');
  });

  test('its stop signal, by any name of it, and the places of its volumes (8.8)', async (t) => {
    const volumes = { '/srv/data': {}, '/var/lib/x/': {}, bin: {} };
    const image = await importOf(t, ociFiles(BASE, { Cmd: ['/bin/true'], StopSignal: 'SIGRTMIN+3', Volumes: volumes }));
    assert.equal(image.stopSignal, 37);
    assert.deepEqual(image.notes, []);
    for (const path of ['/srv/data', '/var/lib/x']) assert.match(image.debugfs(`stat ${path}`), /Type: directory[^]*Mode:\s+0755/);
    assert.match(image.debugfs('ls /bin'), /true/);
    const named = {
      SIGQUIT: 3,
      QUIT: 3,
      sigint: 2,
      '15': 15,
      SIGWINCH: 28,
      'RTMAX-1': 63,
      SIGCLD: 17,
      'SIGRTMIN+31': undefined,
      '0': undefined,
    };
    for (const [name, number] of Object.entries({ ...named, '65': undefined, SIGFOO: undefined, toString: undefined }))
      assert.equal(signalNumber(name), number, name);
  });

  const NOTED: Record<string, [config: RunConfig, layer: Piece[], note: RegExp | undefined]> = {
    'a health check': [{ Healthcheck: { Test: ['CMD', 'true'] } }, [], /health check is not run: banger vm ports NAME/],
    'a health check that is switched off': [{ Healthcheck: { Test: ['NONE'] } }, [], undefined],
    'a signal that there is not': [{ StopSignal: 'SIGNONE' }, [], /stop signal "SIGNONE" is not a Linux signal, so banger sends SIGTERM/],
    'a user whom it does not have': [{ User: 'web:1' }, [], /runs as "web:1", and its \/etc\/passwd has no "web"/],
    'a group that it does not have': [{ User: '5:web' }, [], /its \/etc\/group has no "web"/],
    'a user whom a list behind a link does not have': [
      { User: 'web:www' },
      [
        { path: 'etc/passwd', type: 'symlink', linkPath: '../usr/lib/users' },
        { path: 'usr/lib/users', body: 'root:x:0:0::/:/bin/sh' },
        { path: 'etc/group', body: 'www:x:5:\n' },
      ],
      /\/etc\/passwd has no "web"/,
    ],
    'a user by number, and root': [{ User: 'root:1234' }, [], undefined],
    'an init that is not known, in an image that runs nothing': [
      { Cmd: [] },
      [
        { path: 'bin/busybox', body: '' },
        { path: 'sbin/init', type: 'symlink', linkPath: '/bin/busybox' },
      ],
      /"\/bin\/busybox" is not an init that banger knows, so the guest agent is the first program/,
    ],
    'the same beside an entrypoint': [{}, [{ path: 'sbin/init', body: '' }], undefined],
  };

  for (const [name, [config, layer, note]] of Object.entries(NOTED)) {
    test(`ignored settings are reported once: ${name} (8.8)`, async (t) => {
      const { notes } = await importOf(t, ociFiles([...BASE, tarOf(layer)], { Cmd: ['/bin/true'], ...config }));
      assert.equal(notes.length, note === undefined ? 0 : 1, notes.join());
      if (note !== undefined) assert.match(notes.join(), note);
    });
  }

  test('what skopeo copies between all its forms is the same image (8.8)', async (t) => {
    const directory = directoryFor(t);
    const files = ociFiles([...BASE, tarOf([{ path: 'etc/hello', body: 'hello' }])], {
      Entrypoint: ['/bin/true'],
      WorkingDir: '/work',
      Env: ['a.b=c'],
    });
    const source = writeFiles(join(directory, 'source'), files);
    for (const [form, flags] of [
      ['oci-archive', []],
      ['docker-archive', []],
      ['oci-archive', ['--dest-compress-format', 'zstd']],
    ] as const) {
      const path = join(directory, `out-${form}-${flags.length}`);
      const argv = ['--insecure-policy', '--tmpdir', directory, 'copy', '-q', ...flags, `oci:${source}:latest`, `${form}:${path}:app:1`];
      execFileSync('skopeo', argv, { stdio: 'pipe' });
      for (const reference of [undefined, 'app:1']) {
        const image = await importOf(t, readFileSync(path), { reference });
        assert.deepEqual(
          [image.debugfs('cat /etc/hello'), image.entrypoint, image.workdir, image.env],
          ['hello', ['/bin/true'], '/work', { 'a.b': 'c' }],
        );
      }
    }
  });
});
