// Docker and Podman in a VM, by the steps of `image build` that bring them. Minutes, and the registry that apt is set to; the one image
// that containers are made of is the busybox of this machine. Once the packages are there nothing leaves the machine (as root).
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ImageView } from '../../src/api/image-schemas.ts';
import { createVm, eventually, guest, hear, settled, startBanger, useSandbox } from '../support/machine/e2e.ts';
import { makeOutside, type Outside, OUTSIDE_ADDRESS, OUTSIDE_BODY } from '../support/outside/outside.ts';

const outsidePrefix: string[] = [];
let outside: Outside | undefined;
const sandbox = useSandbox({ commandPrefix: outsidePrefix });
after(() => outside?.close());

const LONG = { timeoutMs: 900_000 };
const FROM_CONTAINER = 'from a container';
const APPLETS = ['sh', 'nc', 'echo', 'id', 'cat', 'nslookup', 'sleep', 'true', 'wget'];

const COMPOSE = `services:
  web:
    image: busy
    command: ["nc", "-ll", "-p", "80", "-e", "echo", "${FROM_CONTAINER}"]
    ports: ["8080:80"]
    restart: always
    healthcheck: {test: ["CMD", "true"], interval: 2s, timeout: 120s}
  visitor:
    image: busy
    command: ["sh", "-c", "nc web 80 > /data/heard; exec sleep 1000000"]
    init: true
    volumes: ["data:/data"]
    depends_on: {web: {condition: service_healthy}}
volumes: {data: {}}
`;

/** A root file system with one program, as a tar. */
function busybox(): Buffer {
  const root = mkdtempSync(join(sandbox().directory, 'busy-'));
  for (const name of ['bin', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  for (const name of APPLETS) symlinkSync('busybox', join(root, 'bin', name));
  const archive = execFileSync('tar', ['-C', root, '--owner=0', '--group=0', '-c', '.'], { maxBuffer: 64 * 1024 ** 2 });
  rmSync(root, { recursive: true });
  return archive;
}

const box = () => guest(sandbox(), 'box');
const inBox = (script: string): Promise<string> => box().sh(script, LONG);
/** As a user of the guest without root. */
const asDev = async (script: string): Promise<string> => (await sandbox().must(['vm', 'ssh', 'dev@box', '--', script], LONG)).trim();

/** Waits until the container behind a port of the VM answers on the VM's address. */
async function hearContainer(port: number): Promise<void> {
  const { address } = await box().show();
  await eventually(
    `the container behind ${port}`,
    () => hear(sandbox(), address, port),
    (said) => said === FROM_CONTAINER,
    600_000,
  );
}

async function endpointsOf(port: number): Promise<string[]> {
  return (await sandbox().must(['vm', 'ports', '-q', 'box'])).split('\n').filter((line) => line.includes(`:${port}`));
}

test('image build --step docker --step podman: a VM of the image has both, and all of its units start (8.4)', async () => {
  const steps = ['--step', 'docker', '--step', 'podman'];
  const build = startBanger(sandbox(), ['image', 'build', '--name', 'containers', ...steps, '--progress', 'plain']);
  assert.equal((await build.ended).status, 0, build.stderr());
  const stages = build.stderr().split('\n');
  console.log(stages.filter((line) => line.startsWith('✓ ')).join('\n'));
  const image = JSON.parse(await sandbox().must(['image', 'show', 'containers', '-o', 'json'])) as ImageView;
  console.log(JSON.stringify(image));

  await sandbox().must(['daemon', 'stop']);
  if (process.getuid?.() === 0) {
    outside = await makeOutside();
    outsidePrefix.push(...outside.commandPrefix);
  } else console.log('only root can make a stand-in of the outside: no container is asked to reach it');
  await createVm(sandbox(), 'box', '--image', 'containers', '--memory', '2G');
  assert.equal(await settled(box()), 'running', await inBox('systemctl --failed --no-legend'));
  await inBox('useradd -m -s /bin/bash -G docker dev && loginctl enable-linger dev');
  await eventually(
    'the systemd of a user who stays',
    () => inBox('systemctl is-active user@$(id -u dev) || true'),
    (state) => state === 'active',
    600_000,
  );
});

test('docker runs, builds, limits and keeps, on the work disk with overlay2, also for a user of its group (8.4)', async () => {
  await sandbox().must(['vm', 'exec', 'box', '--', 'docker', 'import', '-', 'busy'], { ...LONG, input: busybox() });
  assert.equal(await inBox('docker info --format "{{.Driver}} {{.DockerRootDir}}"'), 'overlay2 /root/.local/share/docker');
  assert.equal(await inBox('findmnt -n -o TARGET -T /root/.local/share/docker'), '/root');
  assert.equal(await asDev('docker run --rm busy echo hello'), 'hello');
  const limits = 'docker run --rm --memory 64m --cpus 0.5 busy cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max';
  assert.equal(await inBox(limits), '67108864\n50000 100000');
  await inBox('docker run --rm -v kept:/kept busy sh -c "echo kept > /kept/file"');
  assert.equal(await inBox('docker run --rm -v kept:/kept busy cat /kept/file'), 'kept');
  await inBox(
    `mkdir /root/built && cd /root/built && printf 'FROM busy\\nRUN echo built > /made\\nCMD ["cat", "/made"]\\n' > Dockerfile && docker build -t built .`,
  );
  assert.equal(await inBox('docker run --rm built'), 'built');
});

test('containers find names and reach the outside as their VM does (8.4, 6.1)', async () => {
  const own = await inBox("ip -4 -o route get 198.51.100.1 | grep -o 'src [0-9.]*' | cut -d ' ' -f 2");
  for (const run of ['docker run --rm busy', 'podman run --rm busy']) {
    if (run.startsWith('podman'))
      await sandbox().must(['vm', 'exec', 'box', '--', 'podman', 'import', '-', 'busy'], { ...LONG, input: busybox() });
    assert.match(await inBox(`${run} nslookup box.vm`), new RegExp(`Address.*${own}`));
    if (outside !== undefined) assert.equal(await inBox(`${run} wget -q -O - http://${OUTSIDE_ADDRESS}/`), OUTSIDE_BODY.trim());
  }
});

test('docker compose up brings services that find each other, and a port on the VM’s address, once (8.4, 6.1)', async () => {
  await inBox(`mkdir /root/app && cat > /root/app/compose.yaml <<'END'\n${COMPOSE}END\ncd /root/app && docker compose up -d`);
  await hearContainer(8080);
  const endpoints = await endpointsOf(8080);
  assert.equal(endpoints.length, 1, endpoints.join());
  const heard = () => inBox('cd /root/app && docker compose exec -T visitor cat /data/heard');
  await eventually('what a service hears of another', heard, (said) => said === FROM_CONTAINER, 300_000);
});

test('docker of this machine uses the one in the VM over ssh, by an address and by a context (8.4, 6.4)', async (t) => {
  if (spawnSync('docker', ['--version']).status !== 0) return t.skip('docker is not installed: apt-get install docker.io');
  await sandbox().must(['ssh-config', '--install']);
  t.after(() => sandbox().must(['ssh-config', '--remove']));
  const docker = (line: string): string => {
    const [program = '', ...args] = sandbox().argv(['sh', '-c', line]);
    return execFileSync(program, args, { env: sandbox().env, cwd: '/', encoding: 'utf8', timeout: 600_000 }).trim();
  };
  assert.equal(
    docker("DOCKER_HOST=ssh://root@box.vm docker ps --filter name=web --format '{{.Ports}}'").split(',')[0],
    '0.0.0.0:8080->80/tcp',
  );
  docker('docker context create box --docker host=ssh://root@box.vm');
  assert.equal(docker('docker --context box run --rm busy echo through a context'), 'through a context');
});

test('podman runs without root, with limits, a published port and a compose file, and as root (8.4)', async () => {
  await sandbox().must(['vm', 'ssh', 'dev@box', '--', 'podman', 'import', '-', 'busy'], { ...LONG, input: busybox() });
  assert.equal(await asDev('podman info --format "{{.Store.GraphDriverName}} {{.Host.Security.Rootless}}"'), 'overlay true');
  assert.equal(await asDev('podman run --rm busy id -u'), '0');
  const limits = 'podman run --rm --memory 64m --cpus 0.5 busy cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max';
  assert.equal(await asDev(limits), '67108864\n50000 100000');
  const serve = (port: number): string => `podman run -d --restart=always -p ${port}:80 busy nc -ll -p 80 -e echo "${FROM_CONTAINER}"`;
  await asDev(serve(8081));
  await inBox(serve(8082));
  for (const port of [8081, 8082]) {
    await hearContainer(port);
    assert.equal((await endpointsOf(port)).length, 1);
  }
  const app = COMPOSE.replace('8080', '8083').replace(/ {4}depends_on.*\n/, '');
  await sandbox().must(['vm', 'ssh', 'dev@box', '--', 'mkdir app && cat > app/compose.yaml && cd app && podman-compose up -d'], {
    ...LONG,
    input: app,
  });
  await hearContainer(8083);
});

test('containers that are to be restarted come back with the VM, those of a user too (8.4)', async () => {
  await sandbox().must(['vm', 'restart', 'box'], LONG);
  for (const port of [8080, 8081, 8082]) await hearContainer(port);
  assert.equal(await settled(box()), 'running', await inBox('systemctl --failed --no-legend'));
});

test('the VM and its image leave nothing (3.5, 8.4)', async () => {
  await sandbox().must(['vm', 'delete', '--force', 'box'], LONG);
  await sandbox().must(['image', 'delete', 'containers']);
});
