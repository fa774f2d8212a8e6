// The real daemon in this process: real server, verbs, store and files; machines, network and names are in memory.
import assert from 'node:assert/strict';
import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { createApi, type Api } from '../../../src/client/api.ts';
import { createSend } from '../../../src/client/send.ts';
import type { Operation, OperationEvent, VmView } from '../../../src/api/schemas.ts';
import { joinDaemon } from '../../../src/daemon/compose/join.ts';
import { manifestPlaces } from '../../../src/daemon/manifest-places.ts';
import { loadConfig } from '../../../src/daemon/config.ts';
import { createServer, type Server } from '../../../src/daemon/server.ts';
import type { DaemonServices } from '../../../src/daemon/services.ts';
import { createFakeHypervisor } from '../../../src/drivers/hypervisor/fake/driver.ts';
import type { FakeVmm } from '../../../src/drivers/hypervisor/fake/world.ts';
import type { Hypervisor, Machine } from '../../../src/drivers/hypervisor/contract.ts';
import type { NetworkDriver } from '../../../src/drivers/network/contract.ts';
import { createFakeNetwork } from '../../../src/drivers/network/fake/driver.ts';
import type { StorageDriver } from '../../../src/drivers/storage/contract.ts';
import type { Host } from '../../../src/host/host.ts';
import type { Distribution } from '../../../src/images/distribution.ts';
import type { ProvisionSources } from '../../../src/images/provision/sources.ts';
import type { World } from '../../../src/context/services.ts';
import type { Timer } from '../../../src/context/timer.ts';
import { BangerError } from '../../../src/model/errors.ts';
import { resolveReference } from '../../../src/model/reference.ts';
import { openStore, type Store } from '../../../src/store/store.ts';
import { createEffects, type EffectHook, type Effects } from './effects.ts';
import { createFakeStorage } from './fake-storage.ts';
import { helperlessHypervisor, helperlessNetwork, helperlessStorage } from './helperless-drivers.ts';
import { createTestWorld, type TestWorld } from './test-world.ts';

export type TestDaemon = {
  world: TestWorld;
  api: Api;
  services: DaemonServices;
  server: Server;
  effects: Effects;
  /** What it wrote to its log. */
  log: { level: string; msg: string; [fact: string]: unknown }[];
  /** Ends it properly, unless it has ended; machines continue. */
  stop(): Promise<void>;
  /** Ends it like kill -9: it finishes and writes nothing more. */
  kill(): Promise<void>;
};

const DATABASE = 'banger.db';
/** Text of config.toml with short waits. */
const CONFIG = {
  BANGER_STOP_GRACE_SECONDS: '1',
  BANGER_BOOT_TIMEOUT_SECONDS: '5',
  BANGER_RESERVED_SPACE: '0',
  BANGER_TEMPLATES_ENABLED: 'false',
};

/** The provisioning of builds in tests; it needs no file of the checkout and no program of the host. */
const provisionSources: ProvisionSources = {
  steps: () =>
    Promise.resolve([
      {
        name: 'development',
        title: 'development packages',
        script: 'exit 0',
        packages: ['git'],
        artifacts: [],
        needs: [],
        isOptional: false,
        servicePorts: [],
      },
      {
        name: 'tool',
        title: 'tool',
        script: 'echo tool',
        packages: [],
        artifacts: ['tool'],
        needs: [],
        isOptional: false,
        servicePorts: [22],
      },
      {
        name: 'addon',
        title: 'addon',
        script: 'exit 0',
        packages: [],
        artifacts: [],
        needs: ['tool'],
        isOptional: false,
        servicePorts: [],
      },
    ]),
  hash: (names) => `hash of ${names.join(' ')}`,
  check: () => Promise.resolve(),
  frame: () => Promise.resolve({ installPackages: 'exit 0', clean: 'exit 0' }),
  artifact: (name) => Promise.resolve({ path: '/etc/hostname', version: `${name}-1` }),
  archives: () => Promise.resolve(['/etc/hostname']),
};

/** A distribution whose images are made without another image. */
const exoticDistribution = (host: Host): Distribution => ({
  packages: () => Promise.resolve(['base']),
  check: () => Promise.resolve(),
  configure: () => Promise.resolve('echo configured'),
  fetch: () =>
    Promise.resolve({
      async assemble({ kernel, initramfs, modules, rootfs, workSeed, scratch }) {
        await host.makePrivateDirectory(scratch);
        for (const path of [kernel, initramfs, modules, rootfs, workSeed]) await host.writeFileAtomic(path, 'exotic');
        for (const path of [rootfs, workSeed]) {
          await host.setLength(path, 1024 ** 2);
          await host.makeExt4(path, 'exotic');
        }
        return { distribution: 'exotic', initSystem: 'runit', kernelVersion: '6.0.0_1', agentSha256: null };
      },
    }),
});

export type DaemonOptions = {
  env?: Record<string, string>;
  drivers?: TestDrivers;
  /** Runs the daemon's delayed work; default: the real one. */
  timer?: Timer;
  clockTimer?: Timer;
  /** Reports when the host's clock is set; default: never. */
  clockJumps?: World['clock']['jumps'];
};

/** A test's own drivers instead of the fakes, best first. */
export type TestDrivers = { host?: Host; hypervisors?: readonly Hypervisor[]; storages?: readonly StorageDriver[] };

/**
 * Composes a daemon on the given world, and lets it recover and listen.
 * @param options.hook sees its effects from the first one on; a daemon that dies during its recovery is returned dead
 */
export async function startDaemon(world: TestWorld, options: DaemonOptions & { hook?: EffectHook } = {}): Promise<TestDaemon> {
  const effects = createEffects(options.hook);
  const log: TestDaemon['log'] = [];
  const logger = pino({ formatters: { level: (level) => ({ level }) } }, { write: (line) => void log.push(JSON.parse(line)) });
  const store = openStore(join(world.directories.stateDirectory, DATABASE), manifestPlaces(world.directories, logger));
  store.images.save(world.image);
  const timer = options.timer === undefined ? {} : { timer: options.timer };
  const clockTimer = options.clockTimer === undefined ? {} : { clockTimer: options.clockTimer };
  const clockJumps = options.clockJumps === undefined ? {} : { clockJumps: options.clockJumps };
  const parts = { ...fakeParts(world, store, effects), ...options.drivers, ...timer, ...clockTimer, ...clockJumps };
  const { config } = loadConfig(
    world.directories.configPath,
    { ...CONFIG, ...options.env },
    {
      hypervisors: parts.hypervisors.map(({ name }) => name),
      networks: parts.bundle.networks().map(({ name }) => name),
      storages: parts.storages.map(({ name }) => name),
    },
  );
  const build = { id: 'dev', version: '0.0.0-dev' };
  const daemon = joinDaemon(
    {
      directories: world.directories,
      config,
      log: logger,
      build,
      requestShutdown: () => undefined,
    },
    parts,
  );
  const undeclared: string[] = [];
  const server = await createServer(daemon.services, build, { onUndeclared: (route, code) => void undeclared.push(`${route}: ${code}`) });
  await Promise.race([effects.died, daemon.recover()]);
  let isOver = false;
  if (!effects.dead) await server.listen({ path: world.directories.socketPath });
  const kill = async (): Promise<void> => {
    isOver = true;
    effects.die();
    daemon.services.vms.retries.end();
    daemon.services.vms.machines.detachAll();
    await server.close();
    await effects.settled();
    keepDatabase(world, store);
    world.names.clear();
    // The kernel leaves the socket of a dead process in place. Node removes it, and the next daemon makes it again anyway.
    rmSync(world.directories.socketPath, { force: true });
  };
  return {
    world,
    api: createApi(createSend(world.directories.socketPath)),
    services: daemon.services,
    server,
    effects,
    log,
    async stop() {
      if (isOver) return;
      // A daemon that a hook let die after its work would wait forever for what it began.
      if (effects.dead) return kill();
      isOver = true;
      await server.close();
      await daemon.close();
      assert.deepEqual(undeclared, [], 'errors that routes gave and do not declare (src/api/routes/)');
    },
    kill,
  };
}

/** Closing a database tidies up its files; a killed daemon leaves them as they were. */
function keepDatabase(world: TestWorld, store: Store): void {
  const paths = [DATABASE, `${DATABASE}-wal`].map((name) => join(world.directories.stateDirectory, name));
  for (const path of paths) copyFileSync(path, `${path}.kept`);
  store.close();
  for (const path of paths) renameSync(`${path}.kept`, path);
}

function fakeParts(world: TestWorld, store: Store, effects: Effects): Parameters<typeof joinDaemon>[1] {
  // Checks change nothing, and their time varies: if they were counted, the numbers of later effects would vary.
  const { root, work, ...unwatched } = createFakeStorage({ host: world.host, world: world.storage });
  const storage: StorageDriver = { ...unwatched, root: effects.watch('root', root), work: effects.watch('work', work) };
  const fake = createFakeNetwork({ world: world.network });
  const network: NetworkDriver = { ...effects.watch('network', fake, ['addressOnHost']), checks: () => fake.checks() };
  const networks = world.isPlain ? [helperlessNetwork, network] : [network];
  const hypervisor = watchedHypervisor(world, effects);
  const host = effects.watch('host', world.host, [
    'isAlive',
    'signalProcess',
    'bootId',
    'commandEnvironment',
    'openUnpacked',
    'listenedByOthers',
  ]);
  // Read when the daemon starts, and on request.
  let known = world.isBundleAway ? NO_NETWORKS : networks;
  return {
    store: {
      vms: effects.watch('vms', store.vms, ['*']),
      operations: effects.watch('operations', store.operations, ['*']),
      images: store.images,
      manifests: store.manifests,
      close: () => store.close(),
    },
    host,
    provisionSources: effects.watch('sources', provisionSources, ['hash']),
    distributions: new Map([['exotic', effects.watch('distribution', exoticDistribution(host))]]),
    hypervisors: world.isPlain ? [helperlessHypervisor, hypervisor] : [hypervisor],
    storages: world.isPlain ? [helperlessStorage, storage] : [storage],
    standingNetworks: [],
    names: {
      set: async (name, address) => void world.names.set(name, address),
      setPorts: () => undefined,
      remove: (name) => void world.names.delete(name),
      ask: (name) => Promise.resolve({ address: world.names.get(name) ?? null }),
      start: () => Promise.resolve(),
      stop: () => Promise.resolve(),
      state: () => ({ dns: { listening: true, problem: null }, http: { listening: true, problem: null } }),
      httpPortsOf: () => ({ name: null, localhost: null }),
    },
    places: {
      bundle: { besideProgram: join(world.directory, 'none'), checkout: join(world.directory, 'none') },
      buildDirectory: join(world.directory, 'none'),
      sourceRoot: null,
      packageRoot: join(world.directory, 'package'),
      cacheDirectory: join(world.directory, 'cache'),
    },
    bundle: {
      refresh: async () => {
        if (!world.isBundleAway) known = networks;
      },
      agentSha256: () => world.agentSha256,
      networks: () => known,
      missing: () => new BangerError('BUNDLE_MISSING', 'there is no runtime bundle'),
      resolveImage: (reference = 'default') => Promise.resolve().then(() => resolveReference('image', store.images, reference)),
    },
  };
}

/** The same list each time, like a daemon without a bundle. */
const NO_NETWORKS: readonly NetworkDriver[] = [];

/** Its machines are watched as well, so that a dead daemon cannot end them. */
function watchedHypervisor(world: TestWorld, effects: Effects): Hypervisor {
  const fake = createFakeHypervisor({ host: world.host, world: world.machines });
  const driver = effects.watch('hypervisor', fake);
  const watched = (machine: Machine): Machine => {
    const fork =
      machine.fork && (async (...to: Parameters<NonNullable<Machine['fork']>>) => watched((await machine.fork?.(...to)) as Machine));
    return effects.watch('machine', { ...machine, ...(fork && { fork }) }, ['detach', 'onFullDisk', 'onResume']);
  };
  return {
    name: driver.name,
    takes: driver.takes,
    checks: (signal) => fake.checks(signal),
    start: async (spec, signal) => watched(await driver.start(spec, signal)),
    ...(driver.restore && {
      restore: async (spec, directory, signal) => watched((await driver.restore?.(spec, directory, signal)) as Machine),
    }),
    adopt: async (spec, process) => {
      const machine = await driver.adopt(spec, process);
      return machine === undefined ? undefined : watched(machine);
    },
    find: (spec) => driver.find(spec),
    cleanUp: (spec) => driver.cleanUp(spec),
  };
}

/** A daemon for one test. It is stopped after the test; then only VMs that the test keeps may be left. */
export async function daemonFor(t: TestContext, options: DaemonOptions = {}): Promise<TestDaemon> {
  const world = createTestWorld();
  t.after(() => world.remove());
  const daemon = await startDaemon(world, options);
  t.after(() => daemon.stop());
  return daemon;
}

/** @returns the operation as it ended, with all its events */
export async function ended(api: Api, operation: Pick<Operation, 'id'>): Promise<Operation & { events: OperationEvent[] }> {
  const events: OperationEvent[] = [];
  for await (const event of await api.operationEvents(operation.id)) events.push(event);
  return { ...(await api.operation(operation.id)), events };
}

/** Creates a VM and waits for it. @returns the VM afterwards */
export async function created(api: Api, name: string, body: Parameters<Api['createVm']>[0] = {}): Promise<VmView> {
  await done(api, api.createVm({ name, ...body }, false));
  return api.showVm(name);
}

/** Waits for an operation and returns it. @throws if it failed */
export async function done(api: Api, begun: Promise<Operation>): Promise<Operation> {
  const operation = await ended(api, await begun);
  if (operation.state !== 'done') throw new Error(`${operation.verb}: ${operation.state} ${JSON.stringify(operation.error)}`);
  return operation;
}

/** @returns the simulated machine of a running VM */
export function fakeOf(world: TestWorld, name: string): FakeVmm {
  const found = [...world.machines.machines.values()].find(({ spec }) => spec.vmName === name);
  if (found === undefined) throw new Error(`no machine of ${name} runs`);
  return found;
}

/** Waits for something that no event reports, up to the test's own time limit. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(2);
}
