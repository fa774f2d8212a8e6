// Copies of a running machine's disks: jobs of QEMU that follow what the guest writes, until they are ended together.
import { setTimeout as sleep } from 'node:timers/promises';
import { BangerError } from '../../../model/errors.ts';
import type { MachineDisk } from '../contract.ts';
import { diskName, diskNode } from './machine-config.ts';
import type { QmpClient, QmpEvent } from './qmp-client.ts';

const PREFIX = 'disk-copy-';
/** A job that is cancelled is over within milliseconds; a busy host takes longer. */
const DROP_LIMIT_MS = 10_000;
const DROP_PAUSE_MS = 5;

type Job = { ready: PromiseWithResolvers<void>; ended: PromiseWithResolvers<void> };

/** Follows the jobs of one QEMU. */
export class DiskCopies {
  readonly #jobs = new Map<string, Job>();

  onEvent({ name, data }: QmpEvent): void {
    const job = this.#jobs.get(String(data['device']));
    if (job === undefined) return;
    if (name === 'BLOCK_JOB_READY') job.ready.resolve();
    if (name === 'BLOCK_JOB_CANCELLED') fail(job, 'it was cancelled');
    if (name !== 'BLOCK_JOB_COMPLETED') return;
    const { error } = data;
    if (typeof error === 'string') fail(job, error);
    else job.ended.resolve();
  }

  /** Ends every wait for the copies. */
  giveUp(reason: string): void {
    for (const job of this.#jobs.values()) fail(job, reason);
  }

  /**
   * Begins to copy each disk to a blank one. Of a qcow2 disk, only what is in its own file is copied: both lie over the same file.
   * @param disks the blank ones, in the order of the machine's
   */
  async begin(qmp: QmpClient, disks: readonly MachineDisk[]): Promise<void> {
    this.#jobs.clear();
    for (const [index, disk] of disks.entries()) {
      const id = `${PREFIX}${index}`;
      this.#jobs.set(id, newJob());
      const isOverlay = disk.format === 'qcow2';
      // Whoever uses the copy flushes it.
      const node = diskNode({ ...disk, durable: false }, id);
      await qmp.command('blockdev-add', isOverlay ? { ...node, backing: null } : node);
      const copy = { 'job-id': id, device: diskName(index), target: id, sync: isOverlay ? 'top' : 'full' };
      await qmp.command('blockdev-mirror', copy);
    }
  }

  /** Waits until every copy lags behind by no more than what is being written. @throws VMM_FAILED */
  async ready(): Promise<void> {
    await Promise.all(Array.from(this.#jobs.values(), ({ ready }) => ready.promise));
  }

  /** Ends the copies of a machine that stands still: they are what its disks are, and belong to nobody. @throws VMM_FAILED */
  async end(qmp: QmpClient): Promise<void> {
    const ids = [...this.#jobs.keys()];
    for (const id of ids) await qmp.command('block-job-cancel', { device: id });
    await Promise.all(Array.from(this.#jobs.values(), ({ ended }) => ended.promise));
    for (const id of ids) await qmp.command('blockdev-del', { 'node-name': id });
  }
}

/** @returns whether copies are under way, or were when their daemon ended */
export async function hasCopies(qmp: QmpClient): Promise<boolean> {
  return (await nodesOf(qmp)).length > 0;
}

/** Ends copies that nobody needs, also those of an earlier daemon. @throws VMM_FAILED */
export async function dropCopies(qmp: QmpClient): Promise<void> {
  const deadline = performance.now() + DROP_LIMIT_MS;
  for (let jobs = await jobsOf(qmp); jobs.length > 0; jobs = await jobsOf(qmp)) {
    if (performance.now() > deadline) throw new BangerError('VMM_FAILED', 'QEMU does not end the copies of its disks');
    // One that has just ended is refused.
    for (const device of jobs) await qmp.command('block-job-cancel', { device, force: true }).catch(() => undefined);
    await sleep(DROP_PAUSE_MS);
  }
  for (const name of await nodesOf(qmp)) await qmp.command('blockdev-del', { 'node-name': name });
}

const isOurs = (name: unknown): name is string => typeof name === 'string' && name.startsWith(PREFIX);

async function nodesOf(qmp: QmpClient): Promise<string[]> {
  const nodes = (await qmp.command('query-named-block-nodes', { flat: true })) as { 'node-name'?: string }[];
  return nodes.map((node) => node['node-name']).filter(isOurs);
}

async function jobsOf(qmp: QmpClient): Promise<string[]> {
  return ((await qmp.command('query-block-jobs')) as { device?: string }[]).map(({ device }) => device).filter(isOurs);
}

function newJob(): Job {
  const job = { ready: Promise.withResolvers<void>(), ended: Promise.withResolvers<void>() };
  // Nobody may wait for it any more when it fails.
  for (const { promise } of Object.values(job)) promise.catch(() => undefined);
  return job;
}

function fail({ ready, ended }: Job, reason: string): void {
  const error = new BangerError('VMM_FAILED', `a disk could not be copied: ${reason}`);
  ready.reject(error);
  ended.reject(error);
}
