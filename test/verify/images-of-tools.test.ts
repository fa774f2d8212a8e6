// Images of twenty services, made of Debian's packages by the tools that people use: each imported, held against what umoci unpacks file by
// file, started, and asked over the network. Many minutes, the mirror that apt is set to, the packages buildah and podman, and root.
// BANGER_VERIFY_IMAGES names a directory in which the layers stay for the next run; BANGER_VERIFY_ONLY names some of the images.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ImageView } from '../../src/api/image-schemas.ts';
import type { GuestPortView } from '../../src/api/port-schemas.ts';
import { createVm, eventually, runInSandbox, useSandbox } from '../support/machine/e2e.ts';
import { type ImageBuilder, makeImageBuilder } from '../support/images/image-builder.ts';
import { SERVICE_IMAGES, type ServiceImage } from '../support/images/service-images.ts';
import { assertSameFiles, type Facts, mountedFacts, unpackedFacts } from '../support/images/tree-facts.ts';

const sandbox = useSandbox();
const LONG = { timeoutMs: 900_000 };
const only = process.env['BANGER_VERIFY_ONLY']?.split(' ');
let builder: ImageBuilder;

before(() => {
  assert.equal(process.getuid?.(), 0, 'run it as root: it mounts what it compares');
  builder = makeImageBuilder(process.env['BANGER_VERIFY_IMAGES']);
  const { directory } = builder;
  chmodSync(directory, 0o755);
});
after(() => builder.close());

/** Files that the guest's kernel makes, that ext4 has, or that an import adds by what its documentation says. */
function isExplained({ path, type }: Facts, image: ImageView, volumes: readonly string[]): boolean {
  const made = [image.workdir, ...volumes].map((directory) => directory?.slice(1));
  const isMade = made.some((directory) => directory === path || directory?.startsWith(`${path}/`));
  return (
    (path.startsWith('dev/') && type === 'device') ||
    path === 'lost+found' ||
    path === 'etc/environment' ||
    (image.initSystem !== 'none' && /^(usr\/)?lib\/modules(\/|$)/.test(path)) ||
    (isMade && type === 'directory')
  );
}

/** @returns what comes back from a port of a VM, byte by byte as characters */
async function asked(name: string, { port, ask = '' }: Pick<ServiceImage, 'port' | 'ask'>): Promise<string> {
  const listeners = JSON.parse(await sandbox().must(['vm', 'ports', name, '-o', 'json'])) as GuestPortView[];
  // The host may have a low port under another number.
  const found = listeners.find((one) => one.protocol === 'tcp' && one.port === port && one.hostPort !== null);
  if (found === undefined) return `nothing listens but ${listeners.map((one) => one.port).join()}`;
  const bytes = [...Buffer.from(ask, 'latin1')].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  const script = `exec 3<>/dev/tcp/${found.hostAddress}/${found.hostPort} && printf '${bytes}' >&3 && timeout 3 cat <&3 | base64 -w0`;
  return runInSandbox(sandbox(), ['timeout', '10', 'bash', '-c', script]).then((text) => Buffer.from(text, 'base64').toString('latin1'));
}

async function importAndAsk(service: ServiceImage, source: string): Promise<ImageView> {
  const { name, memory = '256M', answer, says = [] } = service;
  await sandbox().must(['image', 'import', source, '--name', name], LONG);
  const image = JSON.parse(await sandbox().must(['image', 'show', name, '-o', 'json'])) as ImageView;
  await createVm(sandbox(), name, '--image', name, '--memory', memory);
  await eventually(
    `the answer of ${name}`,
    () => asked(name, service),
    (said) => answer.test(said),
    300_000,
  );
  for (const [argv, text] of says) assert.match(await sandbox().must(['vm', ...argv]), text, argv.join(' '));
  // By force it would take longer.
  await sandbox().must(['vm', 'stop', name, '--grace', '10m'], { timeoutMs: 300_000 });
  return image;
}

/** Whatever became of the test. */
async function remove(name: string): Promise<void> {
  await sandbox().banger(['vm', 'delete', '--force', name], LONG);
  await sandbox().banger(['image', 'delete', name]);
}

for (const service of SERVICE_IMAGES.filter(({ name }) => only?.includes(name) ?? true)) {
  test(`${service.name}: its service answers, and its files are those that umoci unpacks (8.8)`, async (t) => {
    const { name, recipe } = service;
    t.after(() => remove(name));
    const layout = builder.build(name, recipe);
    execFileSync('chmod', ['-R', 'a+rX', layout]);
    const image = await importAndAsk(service, layout);
    assert.deepEqual(image.notes, []);
    const volumes = recipe.config.flatMap((word, at) => (recipe.config[at - 1] === '--volume' ? [word] : []));
    assertSameFiles(unpackedFacts(`${layout}:${name}`, builder.directory), mountedFacts(image.rootfsPath), (one) =>
      isExplained(one, image, volumes),
    );
  });
}

const CONTAINERFILE = `FROM localhost/base
ENV GREETING="from podman" my.var=1
EXPOSE 9000
VOLUME /var/lib/said /never/made
STOPSIGNAL SIGINT
HEALTHCHECK CMD true
RUN echo 'web:x:77:78::/srv:/bin/sh' >> /etc/passwd && rm /etc/debian_version && install -d -o 77 /srv/www && ln /etc/issue /srv/www/linked
RUN rm -r /srv/www && mkdir /srv/www && echo again > /srv/www/file
USER 77
WORKDIR /srv/www
ENTRYPOINT perl -MIO::Socket -e '$s = IO::Socket::INET->new(Listen => 5, LocalPort => 9000, ReuseAddr => 1); while ($c = $s->accept) { print $c "$ENV{GREETING} $<"; close $c }'
`;

const skip = only !== undefined && !only.includes('podman');

test('podman: what its build and save write runs as it says, and what is not obeyed is told (8.8)', { skip }, async (t) => {
  const { directory, store } = builder;
  const inside = (program: string, ...args: string[]) => execFileSync(program, args, { cwd: directory, stdio: 'pipe' });
  builder.build('base-only', { config: [] });
  writeFileSync(join(directory, 'Containerfile'), CONTAINERFILE);
  inside('podman', ...store, 'build', '--isolation', 'chroot', '--format', 'docker', '-q', '-t', 'said', '-f', 'Containerfile', 'sources');
  inside('rm', '-rf', 'said.tar', 'said.oci');
  inside('podman', ...store, 'save', '-q', '-o', 'said.tar', 'localhost/said');
  t.after(() => remove('podman'));
  const service = { name: 'podman', port: 9000, answer: /^from podman 77/, recipe: { config: [] } };
  const image = await importAndAsk(service, join(directory, 'said.tar'));
  assert.match(image.notes.join(), /^its health check is not run[^,]*$/);
  assert.equal(image.stopSignal, 2);
  inside('skopeo', '--insecure-policy', 'copy', '-q', 'docker-archive:said.tar', 'oci:said.oci:podman');
  assertSameFiles(unpackedFacts(`${directory}/said.oci:podman`, directory), mountedFacts(image.rootfsPath), (one) =>
    isExplained(one, image, ['/var/lib/said', '/never/made']),
  );
});
