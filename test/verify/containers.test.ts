// Docker and Podman in a VM, by the steps of `image build` that bring them. Minutes, and the registry that apt is set to; the one image
// that containers are made of is the busybox of this machine.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createVm, eventually, guest, hear, settled, startBanger, useSandbox } from '../support/e2e.ts';

const sandbox = useSandbox();
const LONG = { timeoutMs: 900_000 };

const COMPOSE = `services:
  web:
    image: busy
    command: ["/bin/nc", "-ll", "-p", "80", "-e", "/bin/echo", "from a container"]
    ports: ["8080:80"]
    restart: always
`;

/** A root file system with one program, as a tar. */
function busybox(): Buffer {
  const root = join(sandbox().directory, 'busy');
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  for (const name of ['sh', 'nc', 'echo', 'id', 'ls']) symlinkSync('busybox', join(root, 'bin', name));
  return execFileSync('tar', ['-C', root, '-c', '.'], { maxBuffer: 64 * 1024 ** 2 });
}

test('image build --step docker: docker run and docker compose up work at once, and come back with the VM (8.4)', async () => {
  const build = startBanger(sandbox(), [
    'image',
    'build',
    '--name',
    'containers',
    '--step',
    'docker',
    '--step',
    'podman',
    '--progress',
    'plain',
  ]);
  assert.equal((await build.ended).status, 0, build.stderr());
  await createVm(sandbox(), 'box', '--image', 'containers', '--memory', '2G');
  const vm = guest(sandbox(), 'box');
  assert.equal(await settled(vm), 'running');
  await sandbox().must(['vm', 'exec', 'box', '--', 'docker', 'import', '-', 'busy'], { ...LONG, input: busybox() });
  assert.equal(await vm.sh('docker info --format "{{.Driver}} {{.DockerRootDir}}"', LONG), 'overlay2 /root/.local/share/docker');
  assert.equal(await vm.sh('docker run --rm busy /bin/echo hello', LONG), 'hello');

  await vm.sh(`mkdir -p /root/app && cd /root/app && cat > compose.yaml <<'END'\n${COMPOSE}END\ndocker compose up -d`, LONG);
  const { address } = await vm.show();
  const heard = () => hear(sandbox(), address ?? '', 8080);
  await eventually('the published port', heard, (said) => said === 'from a container', 300_000);
  const endpoints = (await sandbox().must(['vm', 'ports', '-q', 'box'])).split('\n').filter((line) => line.includes(':8080'));
  assert.equal(endpoints.length, 1, endpoints.join());

  await sandbox().must(['vm', 'restart', 'box'], LONG);
  await eventually('the container after a restart of the VM', heard, (said) => said === 'from a container', 600_000);
});

test('image build --step podman: a user without root runs containers (8.4)', async () => {
  const vm = guest(sandbox(), 'box');
  await vm.sh('useradd -m -s /bin/bash dev');
  const asDev = (...words: string[]): string[] => ['vm', 'ssh', 'dev@box', '--', ...words];
  await sandbox().must(asDev('podman', 'import', '-', 'busy'), { ...LONG, input: busybox() });
  assert.match(await sandbox().must(asDev('podman', 'run', '--rm', 'busy', '/bin/id', '-u'), LONG), /^0\s*$/);
});
