import assert from 'node:assert/strict';
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BangerError } from '../../model/errors.ts';
import type { AttachedDisk, Disk, StorageDriver } from './contract.ts';
import type { DiskHost } from './raw-file.ts';

const MIB = 1024 ** 2;

type Options = {
  /** Undoes what a reboot of the host would undo of attached disks; default: nothing. */
  reboot?: () => Promise<void>;
  /** Where the disks are made; default: the temporary directory. */
  parent?: string;
};

/** @param host the driver's host, or one in which a call fails */
type MakeDriver = (host?: DiskHost) => StorageDriver;

const never = new AbortController().signal;
/** The files that root disks and work disks begin as. */
const SOURCES = { base: Buffer.alloc(MIB, 'b'), seed: Buffer.alloc(MIB, 's') };

const diskIn = (directory: string, name = 'disk', vmId = '5eed0000'): Disk => ({
  vmId: vmId.padEnd(32, '0'),
  path: `${directory}/${name}`,
});
const otherIn = (directory: string): Disk => diskIn(directory, 'other', '5eed0001');
const rootIn = (directory: string) => ({ ...diskIn(directory), basePath: `${directory}/base`, sizeBytes: 8 * MIB });
const workIn = (directory: string) => ({ ...diskIn(directory), seedPath: `${directory}/seed`, sizeBytes: 8 * MIB });

/** Declares a test that gets a driver, and a directory with a base and a seed. */
type WithDirectory = (title: string, body: (driver: StorageDriver, directory: string) => Promise<void>) => void;

/**
 * The storage contract as tests; every driver passes the same ones.
 * @param create makes a driver that acts through the given host
 */
export function storageConformance<Host extends DiskHost>(
  name: string,
  host: Host,
  create: (host: Host) => StorageDriver,
  options: Options = {},
): void {
  const makeDriver: MakeDriver = (given = host) => create(given as Host);
  const withDirectory: WithDirectory = (title, body) => {
    test(`${name}: ${title}`, async () => {
      const directory = await mkdtemp(join(options.parent ?? tmpdir(), 'banger-storage-'));
      try {
        for (const [source, content] of Object.entries(SOURCES)) await writeFile(`${directory}/${source}`, content);
        await body(makeDriver(), directory);
        for (const [source, content] of Object.entries(SOURCES)) {
          assert.deepEqual(await readFile(`${directory}/${source}`), content, `the ${source} was written`);
        }
      } finally {
        for (const disk of [diskIn(directory), otherIn(directory)]) await makeDriver().root.remove(disk);
        await rm(directory, { recursive: true });
      }
    });
  };
  attaching(withDirectory, makeDriver, options);
  makingAndRemoving(withDirectory);
  workDisks(withDirectory);
  cloning(withDirectory);
  breakingOff(withDirectory, makeDriver, host);
}

function attaching(withDirectory: WithDirectory, makeDriver: MakeDriver, options: Options): void {
  withDirectory('attaches a root disk that this user alone may open, twice as the same disk (5.1)', async ({ root }, directory) => {
    await root.create(rootIn(directory), never);
    const disk = await root.attach(diskIn(directory), never);
    assert.equal(disk.format, root.format);
    assert.deepEqual(await root.attach(diskIn(directory), never), disk);
    assert.deepEqual(await makeDriver().root.attach(diskIn(directory), never), disk, 'another daemon got another disk');
    assert.equal((await stat(disk.path)).mode & 0o077, 0, 'others may read the disk');
    assert.equal((await stat(disk.path)).uid, process.getuid?.());
    if (isReadable(disk)) assert.equal(await readAt(disk, 2, MIB - 2), 'bb');
  });

  withDirectory('keeps what was written over detaching, twice, and over a reboot (5.1, 5.2)', async ({ root }, directory) => {
    await root.create(rootIn(directory), never);
    const disk = await root.attach(diskIn(directory), never);
    if (isReadable(disk)) await writeAt(disk, 'written by the VM', 5 * MIB);
    await root.detach?.(diskIn(directory));
    await root.detach?.(diskIn(directory));
    await root.attach(diskIn(directory), never);
    await options.reboot?.();
    const again = await makeDriver().root.attach(diskIn(directory), never);
    assert.deepEqual(again, disk);
    if (isReadable(disk)) assert.equal(await readAt(again, 17, 5 * MIB), 'written by the VM');
  });

  withDirectory('a sweep lets go of what no VM has, keeps what one has, and loses no data (5.2, 9.5)', async (driver, directory) => {
    const { root, sweep } = driver;
    const named = diskIn(directory);
    await root.create(rootIn(directory), never);
    const disk = await root.attach(named, never);
    if (isReadable(disk)) await writeAt(disk, 'written by the VM', 5 * MIB);
    await sweep?.([named]);
    await stat(disk.path);
    await sweep?.([]);
    // What attaching makes is not the file itself.
    if (sweep !== undefined) await assert.rejects(stat(disk.path), { code: 'ENOENT' });
    assert.deepEqual(await root.attach(named, never), disk);
    if (isReadable(disk)) assert.equal(await readAt(disk, 17, 5 * MIB), 'written by the VM');
  });

  withDirectory('has room and says how much is used, where space is given ahead (5.4)', async ({ root }, directory) => {
    if (root.usage === undefined || root.extend === undefined) {
      assert.equal(root.usage, root.extend, 'one of the two is missing');
      return;
    }
    await root.create(rootIn(directory), never);
    await root.attach(diskIn(directory), never);
    const usage = await root.usage(diskIn(directory));
    assert.equal(usage.state, 'ok');
    assert.ok(usage.usedBytes < usage.sizeBytes && usage.sizeBytes <= usage.limitBytes, JSON.stringify(usage));
    await root.extend(diskIn(directory), 2 * usage.limitBytes);
    assert.equal((await root.usage(diskIn(directory))).sizeBytes, usage.limitBytes);
  });
}

/** Both roles, with the files from which their disks are made. */
const ROLES = ['root', 'work'] as const;
type Role = (typeof ROLES)[number];

function makeDisk(driver: StorageDriver, role: Role, directory: string, signal = never): Promise<void> {
  return role === 'root' ? driver.root.create(rootIn(directory), signal) : driver.work.create(workIn(directory), signal);
}

async function assertNothing(driver: StorageDriver, role: Role, directory: string, what = ''): Promise<void> {
  assert.deepEqual((await readdir(directory)).toSorted(), Object.keys(SOURCES), what);
  assert.equal(await driver[role].allocatedBytes(diskIn(directory)), undefined, what);
}

function makingAndRemoving(withDirectory: WithDirectory): void {
  withDirectory('a blank disk has its size and no content, and replaces no other (10.4)', async (driver, directory) => {
    for (const role of ROLES) {
      const [request, disk] = [{ ...rootIn(directory), ...workIn(directory) }, diskIn(directory)];
      if (driver[role].createBlank === undefined) continue;
      await driver[role].createBlank(request, never);
      assert.equal(await driver[role].sizeBytes(disk), request.sizeBytes);
      assert.ok(((await driver[role].allocatedBytes(disk)) ?? MIB) < MIB);
      await assert.rejects(driver[role].createBlank(request, never), { code: 'STORAGE_FAILED' });
      await driver[role].remove(disk);
    }
  });

  withDirectory('removes a root disk that is attached, too, twice without complaint (5.2)', async (driver, directory) => {
    await driver.root.create(rootIn(directory), never);
    const disk = await driver.root.attach(diskIn(directory), never);
    await driver.root.remove(diskIn(directory));
    await driver.root.remove(diskIn(directory));
    await assertNothing(driver, 'root', directory);
    await assert.rejects(stat(disk.path), { code: 'ENOENT' });
  });

  for (const role of ROLES) {
    withDirectory(`tells size and space of a ${role} disk, until it is removed (3.11, 5.2)`, async (driver, directory) => {
      await makeDisk(driver, role, directory);
      assert.equal(await driver[role].sizeBytes(diskIn(directory)), 8 * MIB);
      assert.ok(((await driver[role].allocatedBytes(diskIn(directory))) ?? 8 * MIB) < 8 * MIB);
      await driver[role].remove(diskIn(directory));
      await assertNothing(driver, role, directory);
      await assert.rejects(driver[role].sizeBytes(diskIn(directory)));
    });

    withDirectory(`removes a ${role} disk that was never made (5.2)`, async (driver, directory) => {
      if (role === 'root') await driver.root.detach?.(diskIn(directory));
      await driver[role].remove(diskIn(directory));
      await assertNothing(driver, role, directory);
    });

    withDirectory(`leaves nothing of a ${role} disk whose making is cancelled (5.4)`, async (driver, directory) => {
      await assert.rejects(makeDisk(driver, role, directory, AbortSignal.abort()));
      await assertNothing(driver, role, directory);
    });

    withDirectory(`refuses to make a ${role} disk over one that is there (5.2)`, async (driver, directory) => {
      await writeFile(`${directory}/disk`, 'of somebody');
      await assert.rejects(makeDisk(driver, role, directory), { code: 'STORAGE_FAILED' });
      assert.equal(await readFile(`${directory}/disk`, 'utf8'), 'of somebody');
    });

    withDirectory(`grows a ${role} disk that is not attached, and never shrinks it (5.3)`, async (driver, directory) => {
      await makeDisk(driver, role, directory);
      await driver[role].grow(diskIn(directory), 16 * MIB);
      await driver[role].grow(diskIn(directory), 4 * MIB);
      assert.equal(await driver[role].sizeBytes(diskIn(directory)), 16 * MIB);
      if (role === 'root') assert.equal(await virtualSize(await driver.root.attach(diskIn(directory), never)), 16 * MIB);
    });
  }

  withDirectory('leaves nothing behind when a source is missing or the target cannot be written (5.4)', async (driver, directory) => {
    const isRefusal = (error: unknown): boolean => error instanceof BangerError && error.code === 'STORAGE_FAILED';
    const path = `${directory}/none/disk`;
    await assert.rejects(driver.root.create({ ...rootIn(directory), path }, never), isRefusal);
    await assert.rejects(driver.work.create({ ...workIn(directory), path }, never), isRefusal);
    await assert.rejects(driver.work.create({ ...workIn(directory), seedPath: `${directory}/none` }, never), isRefusal);
    await assert.rejects(driver.work.clone({ ...diskIn(directory), path }, otherIn(directory), never), isRefusal);
    await assertNothing(driver, 'work', directory);
  });
}

function workDisks(withDirectory: WithDirectory): void {
  withDirectory('a work disk is a raw file of this user alone, which begins as its seed (5.3)', async ({ work }, directory) => {
    await work.create(workIn(directory), never);
    const disk = diskIn(directory);
    assert.equal(work.format, 'raw');
    assert.deepEqual(await readFile(disk.path), Buffer.concat([SOURCES.seed, Buffer.alloc(7 * MIB)]));
    assert.equal((await stat(disk.path)).mode & 0o077, 0, 'others may read the disk');
    assert.deepEqual(Buffer.from(await work.readHead(disk, 4)), Buffer.from('ssss'));
  });

  withDirectory('takes a growth of a work disk back (3.7)', async ({ work }, directory) => {
    await work.create(workIn(directory), never);
    await work.grow(diskIn(directory), 16 * MIB);
    await work.ungrow(diskIn(directory), 8 * MIB);
    assert.equal(await work.sizeBytes(diskIn(directory)), 8 * MIB);
    assert.deepEqual((await readFile(diskIn(directory).path)).subarray(0, MIB), SOURCES.seed);
  });
}

function cloning(withDirectory: WithDirectory): void {
  withDirectory('a clone of a root disk has all of it, and goes its own way (5.1)', async ({ root }, directory) => {
    const [from, to] = [diskIn(directory), otherIn(directory)];
    await root.create(rootIn(directory), never);
    const first = await root.attach(from, never);
    if (isReadable(first)) await writeAt(first, 'written by the VM', 5 * MIB);
    await root.detach?.(from);
    await root.grow(from, 16 * MIB);
    const before = await readFile(from.path);
    await root.clone(from, to, never);
    assert.deepEqual(await readFile(from.path), before, 'what was cloned has changed');
    assert.equal(await root.sizeBytes(to), 16 * MIB);
    const clone = await root.attach(to, never);
    assert.equal((await stat(clone.path)).mode & 0o077, 0, 'others may read the clone');
    if (isReadable(clone)) {
      assert.equal(await readAt(clone, 17, 5 * MIB), 'written by the VM');
      assert.equal(await readAt(clone, 2, MIB - 2), 'bb');
      await writeAt(clone, 'written by other', 5 * MIB);
      assert.equal(await readAt(await root.attach(from, never), 17, 5 * MIB), 'written by the VM');
    }
    await root.remove(from);
    assert.equal(await virtualSize(await root.attach(to, never)), 16 * MIB);
  });

  withDirectory('a clone of a work disk has all of it, and goes its own way (5.3)', async ({ work }, directory) => {
    const [from, to] = [diskIn(directory), otherIn(directory)];
    await work.create(workIn(directory), never);
    await work.clone(from, to, never);
    await writeFile(to.path, 'other', { flag: 'r+' });
    await work.grow(to, 16 * MIB);
    assert.deepEqual(await readFile(from.path), Buffer.concat([SOURCES.seed, Buffer.alloc(7 * MIB)]));
    await work.remove(from);
    assert.equal((await stat(to.path)).mode & 0o077, 0, 'others may read the clone');
    assert.deepEqual(Buffer.from(await work.readHead(to, 7)), Buffer.from('otherss'));
  });

  for (const role of ROLES) {
    withDirectory(`refuses a clone of a ${role} disk over one that is there, or of none (5.2, 5.4)`, async (driver, directory) => {
      await assert.rejects(driver[role].clone(otherIn(directory), diskIn(directory), never), { code: 'STORAGE_FAILED' });
      await assertNothing(driver, role, directory);
      await makeDisk(driver, role, directory);
      await writeFile(otherIn(directory).path, 'of somebody');
      await assert.rejects(driver[role].clone(diskIn(directory), otherIn(directory), never), { code: 'STORAGE_FAILED' });
      assert.equal(await readFile(otherIn(directory).path, 'utf8'), 'of somebody');
    });
  }
}

/** How a call of the host fails: it does nothing; it does its work and then fails; or the daemon is killed after it. */
type Wrong = 'before' | 'after' | 'killed';

function breakingOff(withDirectory: WithDirectory, makeDriver: MakeDriver, host: DiskHost): void {
  const makings: Record<string, (driver: StorageDriver, directory: string) => Promise<void>> = {
    'create of a root disk': ({ root }, directory) => root.create(rootIn(directory), never),
    'create of a work disk': ({ work }, directory) => work.create(workIn(directory), never),
    'create of an empty work disk': ({ work }, directory) => work.create({ ...workIn(directory), seedPath: null }, never),
    'clone of a root disk': ({ root }, directory) => root.clone(otherIn(directory), diskIn(directory), never),
    'clone of a work disk': ({ work }, directory) => work.clone(otherIn(directory), diskIn(directory), never),
  };
  for (const [what, make] of Object.entries(makings)) {
    withDirectory(
      `whatever step of the ${what} fails, nothing is left; of a killed one, nothing after remove (5.4, 9.5)`,
      async (driver, directory) => {
        const role = what.includes('root') ? 'root' : 'work';
        if (what.startsWith('clone')) {
          await makeDisk(driver, role, directory);
          await driver[role].clone(diskIn(directory), otherIn(directory), never);
          await driver[role].remove(diskIn(directory));
        }
        const present = await readdir(directory);
        for (const wrong of ['before', 'after', 'killed'] as const) {
          let step = 1;
          for (; ; step++) {
            const { broken, killed } = goingWrong(host, step, wrong);
            const making = make(makeDriver(broken), directory);
            const end = await Promise.race([
              killed,
              making.then(
                () => 'made',
                () => 'failed',
              ),
            ]);
            if (end === 'made') break;
            if (end === 'killed') await driver[role].remove(diskIn(directory));
            assert.deepEqual(await readdir(directory), present, `${wrong} call ${step}`);
          }
          assert.ok(step > 1, 'no call of the host went wrong');
          await driver[role].remove(diskIn(directory));
          assert.deepEqual(await readdir(directory), present);
        }
      },
    );
  }
}

/** @returns a host in which one call fails */
function goingWrong(host: DiskHost, at: number, wrong: Wrong): { broken: DiskHost; killed: Promise<'killed'> } {
  const { promise: killed, resolve: tell } = Promise.withResolvers<'killed'>();
  const failure = new Error('it does not work');
  let calls = 0;
  // A program makes the file system, which this test does not cover.
  const plain: DiskHost = { ...host, makeExt4: () => Promise.resolve() };
  const broken = new Proxy(plain, {
    get(target, key, receiver) {
      const value: unknown = Reflect.get(target, key, receiver);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const isIt = ++calls === at;
        if (isIt && wrong === 'before') throw failure;
        const result: unknown = await Reflect.apply(value, target, args);
        if (!isIt) return result;
        if (wrong === 'after') throw failure;
        tell('killed');
        return new Promise(() => undefined);
      };
    },
  });
  return { broken, killed };
}

/** Whether a guest sees exactly the content of the file. */
const isReadable = ({ format }: AttachedDisk): boolean => format !== 'qcow2';

async function withDisk<T>(
  { path }: AttachedDisk,
  flags: 'r' | 'r+',
  use: (file: Awaited<ReturnType<typeof open>>) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

const readAt = (disk: AttachedDisk, length: number, offset: number): Promise<string> =>
  withDisk(disk, 'r', async (file) => (await file.read(Buffer.alloc(length), 0, length, offset)).buffer.toString('latin1'));

const writeAt = (disk: AttachedDisk, text: string, offset: number): Promise<void> =>
  withDisk(disk, 'r+', async (file) => {
    await file.write(Buffer.from(text, 'latin1'), 0, text.length, offset);
    await file.sync();
  });

async function virtualSize(disk: AttachedDisk): Promise<number> {
  // Bytes 24..31 of the qcow2 header.
  if (disk.format === 'qcow2') return Number((await readFile(disk.path)).readBigUInt64BE(24));
  // stat knows no size of a device, so seek to its end.
  return withDisk(disk, 'r', async (file) => {
    let [low, high] = [0, 2 ** 30];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { bytesRead } = await file.read(Buffer.alloc(1), 0, 1, middle);
      if (bytesRead === 1) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}
