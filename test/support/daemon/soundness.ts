// Checks that nothing is lost or leaked: the world of a test daemon matches its records, and disks keep what was written.
import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { VmView } from '../../../src/api/schemas.ts';
import { vmPaths } from '../../../src/model/paths.ts';
import { shortId } from '../../../src/model/vm.ts';
import { templatesOf } from '../../../src/lifecycle/template/templates.ts';
import type { TestDaemon } from './test-daemon.ts';
import type { TestWorld } from './test-world.ts';

/**
 * Checks what must hold whenever nothing is under way. Every VM is intact and running, paused, stopped or suspended. Files, machines, network objects and
 * names are exactly those of the VMs. Records name the right processes. No operation claims to run.
 * @returns the VMs
 */
export async function assertSound(daemon: TestDaemon, what: string): Promise<VmView[]> {
  const { api, world, services } = daemon;
  const vms = await api.listVms();
  for (const vm of vms) assert.match(vm.state, /^(running|paused|stopped|suspended)$/, `${what}: ${JSON.stringify(vm)}`);
  const running = (await api.listOperations()).filter(({ state }) => state === 'running');
  assert.deepEqual(running, [], what);
  const templates = templatesOf(services);
  const expected = [...vms, ...templates].flatMap((vm) => belongings(world, vm)).toSorted();
  const known = [...vms, ...templates].map(({ id }) => id);
  assert.deepEqual(
    services.vms.records.listAll().filter(({ id }) => !known.includes(id)),
    [],
    what,
  );
  // Forwards follow what the guest listens on, a moment later.
  const remains = world.remains().filter((line) => !line.startsWith('forwards '));
  assert.deepEqual(remains, expected, what);
  const alive = vms.filter(isPowered);
  const ids = new Set(alive.map(shortId));
  for (const id of world.network.forwards.keys()) assert.ok(ids.has(id), `${what}: forwards of ${id}`);
  for (const vm of alive) {
    const machine = world.machines.machines.get(pathsOf(world, vm).runtimeDirectory);
    assert.equal(vm.pid, machine?.process.pid, what);
    assert.equal(machine?.paused, vm.state === 'paused', `${what}: ${vm.name} is ${vm.state}`);
    assert.equal((await api.health(vm.name)).agent, vm.state === 'paused' ? 'not-running' : 'ok', what);
  }
  for (const vm of vms) {
    assert.equal(services.vms.machines.find(vm.id) !== undefined, isPowered(vm), `${what}: ${JSON.stringify(vm)}`);
    if (!isPowered(vm)) assert.equal(vm.pid, null, what);
    assert.equal(vm.sleep !== null, vm.state === 'paused' || vm.state === 'suspended', what);
  }
  return vms;
}

const isPowered = ({ state }: { state: string }): boolean => state === 'running' || state === 'paused';

const pathsOf = (world: TestWorld, vm: { id: string }) => vmPaths(world.directories, vm);

/** Lines in the form of TestWorld.remains. */
function belongings(world: TestWorld, vm: { id: string; name: string; state: string }): string[] {
  const { directory, manifest, rootOverlay, workDisk, sshHostKey, knownHosts, snapshot, runtimeDirectory } = pathsOf(world, vm);
  const parts = { suspended: ['', 'key.json', 'state'], template: ['', 'key.json', 'memory', 'state'] }[vm.state] ?? [];
  const memory = parts.map((name) => join(snapshot, name));
  const files = [directory, manifest, rootOverlay, workDisk, sshHostKey, knownHosts, ...memory].map((path) => `file ${path}`);
  if (!isPowered(vm)) return files;
  return [
    ...files,
    `disk of ${vm.id}`,
    `file ${runtimeDirectory}`,
    `machine ${runtimeDirectory}`,
    `tap bgr-${shortId(vm)}`,
    `name ${vm.name}`,
  ];
}

/** @returns which boot of the guest is in the memory of a VM, or of a suspended one in its snapshot */
export function bootOf(world: TestWorld, vm: { id: string; state: string }): string | undefined {
  const { runtimeDirectory, snapshot } = pathsOf(world, vm);
  if (vm.state !== 'suspended') return world.machines.machines.get(runtimeDirectory)?.guest.bootId;
  return world.machines.memories.get(readFileSync(join(snapshot, 'state'), 'utf8'))?.bootId;
}

/** After the image's own content, where a guest would have written. */
const MARK_OFFSET = 512 * 1024;
const markOf = (vm: { id: string }, disk: string): Buffer => Buffer.from(`written by ${vm.id} to ${disk}`);
const disksOf = (world: TestWorld, vm: { id: string }): string[] => {
  const { rootOverlay, workDisk } = pathsOf(world, vm);
  return [rootOverlay, workDisk];
};

/** Writes to both disks of a VM what must never be lost. */
export function mark(world: TestWorld, vm: { id: string }): void {
  for (const path of disksOf(world, vm)) {
    const disk = openSync(path, 'r+');
    const bytes = markOf(vm, path);
    writeSync(disk, bytes, 0, bytes.length, MARK_OFFSET);
    closeSync(disk);
  }
}

/** Checks that both disks have what was written. */
export function assertMarked(world: TestWorld, vm: { id: string }, what: string): void {
  assertMarkedAs(world, vm, vm, what);
}

/** What was written to both disks of another VM is there. */
export function assertMarkedAs(world: TestWorld, vm: { id: string }, writer: { id: string }, what = 'copy'): void {
  const written = disksOf(world, writer);
  for (const [at, path] of disksOf(world, vm).entries()) {
    const expected = markOf(writer, written[at] ?? path);
    const found = Buffer.alloc(expected.length);
    const disk = openSync(path, 'r');
    readSync(disk, found, 0, found.length, MARK_OFFSET);
    closeSync(disk);
    assert.equal(found.toString(), expected.toString(), `${what}: ${path} lost what was written to it`);
  }
}

/** Checks that only the log of a build is left. */
export async function assertNothingBuilt(daemon: TestDaemon, what: string): Promise<void> {
  await assertSound(daemon, what);
  assert.deepEqual(
    (await daemon.api.listImages()).map(({ name }) => name),
    ['default'],
    what,
  );
  const root = join(daemon.world.directories.stateDirectory, 'images');
  assert.deepEqual(existsSync(root) ? readdirSync(root) : [], [], what);
  assert.deepEqual(daemon.services.vms.records.list(), [], what);
}
