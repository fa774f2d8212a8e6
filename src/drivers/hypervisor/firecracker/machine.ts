import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { AgentChannel, Hypervisor, Machine, MachineExit, MachineLimits, MachineSpec, TransferLimit } from '../contract.ts';
import { type ProcessStatus, waitForVmmExit } from '../process-end.ts';
import { OUTPUT_LOG_BYTES, type LoggedOutput, logOutput } from '../output-log.ts';
import { AgentChannels, MAX_CHANNELS } from './agent-channels.ts';
import type { ApiClient } from './api-client.ts';
import { assertForkable, copyDisks, forkMark } from './fork.ts';
import { listenForLastWord } from './last-word.ts';
import type { Launch } from './launch.ts';
import {
  type ApiRequest,
  diskUpdate,
  holdRequests,
  limitRequests,
  namedInState,
  resumeRequests,
  snapshotRequest,
} from './machine-config.ts';
import { type FirecrackerInstallation, parseVersion } from './checks.ts';
import { MetricsPipe } from './metrics.ts';
import { knowsUsedPages, snapshotKey, writeNames } from './snapshot.ts';
import { writeKey } from '../snapshot-key.ts';
import { type ExitEvidence, judgeExit } from './vmm-process.ts';

/** How long to read what a dead VMM left in its pipes; more means that another process holds the other end. */
const DRAIN_LIMIT_MS = 1000;
const METRICS_TIMEOUT_MS = 2000;
/** The first line may be the rest of a line that was cut while no daemon read. */
const METRICS_ATTEMPTS = 2;

type Parts = { host: Host; launch: Launch; installation: FirecrackerInstallation };

/** One running Firecracker under this daemon's control. */
export class FirecrackerMachineControl implements Machine {
  readonly accelerator = 'kvm';
  readonly channelCount = MAX_CHANNELS;
  readonly exited: Promise<MachineExit>;
  readonly createSnapshot?: NonNullable<Machine['createSnapshot']>;
  readonly fork?: NonNullable<Machine['fork']>;
  readonly #host: Host;
  readonly #launch: Launch;
  readonly #installation: FirecrackerInstallation;
  readonly #spec: MachineSpec;
  readonly #channels: AgentChannels;
  readonly #exit = Promise.withResolvers<MachineExit>();
  readonly #evidence: ExitEvidence = { terminated: false, shutdownAsked: false };
  #process: ProcessIdentity | undefined;
  #api: ApiClient | undefined;
  /** The limits of the disks while they are not held. */
  #diskLimit: TransferLimit = {};
  readonly #outputs: LoggedOutput[] = [];
  #metrics: MetricsPipe | undefined;
  #resumeListener: () => void = () => undefined;
  #lastWord: { close(): void } | undefined;

  /** @param restore starts another machine with what this one has handed over */
  constructor({ host, launch, installation }: Parts, spec: MachineSpec, restore: NonNullable<Hypervisor['restore']>) {
    this.#installation = installation;
    this.#host = host;
    this.#launch = launch;
    this.#spec = spec;
    this.exited = this.#exit.promise;
    if (launch.seesAllFiles) {
      this.createSnapshot = (directory, signal) => this.#writeSnapshot(directory, signal);
      this.fork = async (to, directory, signal) => {
        await this.#handOver(to, directory, signal);
        return restore(to, directory, signal);
      };
    }
    this.#channels = new AgentChannels(() => launch.connect(spec, launch.paths(spec).vsock));
  }

  get process(): ProcessIdentity {
    if (this.#process !== undefined) return this.#process;
    throw this.#failure('has no process');
  }

  /** Opens this side of the pipes and of the guest's connections, before the process exists or after a restart. */
  async listen(): Promise<void> {
    const paths = this.#launch.paths(this.#spec);
    this.#keep(paths.log, this.#spec.vmmLogPath);
    this.#keep(paths.serial, this.#spec.serialLogPath);
    this.#metrics = new MetricsPipe(this.#host.openFifo(paths.metrics));
    await this.#host.removeName(paths.lastWord);
    this.#lastWord = await listenForLastWord(paths.lastWord, (word) => (this.#evidence.lastWord = word));
  }

  #keep(pipePath: string, logPath: string): void {
    const log = this.#host.openRotatingLog(logPath, OUTPUT_LOG_BYTES);
    this.#outputs.push(logOutput(this.#host.openFifo(pipePath), log));
  }

  /** Takes over the connection and begins to wait for the end. @param child its exit, if this daemon is the parent */
  attach(process: ProcessIdentity, api: ApiClient, child?: Promise<ProcessStatus>): void {
    this.#process = process;
    this.#api = api;
    void waitForVmmExit(this.#host, process, api.closed, child).then((status) => this.#finish(status));
  }

  openAgentChannel(signal: AbortSignal): Promise<AgentChannel> {
    return this.#channels.open(signal);
  }

  async requestShutdown(): Promise<void> {
    this.#evidence.shutdownAsked = true;
    await this.#send({ method: 'PUT', path: '/actions', body: { action_type: 'SendCtrlAltDel' } });
  }

  /** Ends Firecracker at once; it has nothing to save, because writes to a durable disk are already in the page cache. */
  async terminate(): Promise<void> {
    const { pid } = this.process;
    this.#evidence.terminated = true;
    if (!(await this.#launch.end(this.#spec, this.process))) throw this.#failure(`(pid ${pid}) did not end`);
    await this.exited;
  }

  async pause(): Promise<void> {
    await this.#send({ method: 'PATCH', path: '/vm', body: { state: 'Paused' } });
  }

  async #writeSnapshot(directory: string, signal: AbortSignal): Promise<void> {
    await this.#writeFacts(directory);
    await this.pause();
    try {
      await this.#writeMemory(directory, signal);
    } catch (error) {
      await this.resume();
      throw error;
    }
  }

  /** What a snapshot has beside the files of Firecracker. */
  async #writeFacts(directory: string): Promise<void> {
    // If the program is of another version than the running one by now, it refuses the state itself.
    const { program } = await this.#installation.locate();
    await writeKey(this.#host, directory, await snapshotKey(this.#host, this.#spec, program));
    const seen = (path: string): string => this.#launch.seen(this.#spec, path);
    await writeNames(this.#host, directory, namedInState({ spec: this.#spec, paths: this.#launch.paths(this.#spec), seen }));
  }

  /** Firecracker writes everything in one request, so a cancel takes effect before and after it. */
  async #writeMemory(directory: string, signal: AbortSignal): Promise<void> {
    if (!signal.aborted) {
      const isPartial = await this.#knowsUsedPages();
      await this.#send(snapshotRequest(directory, isPartial ? 'Diff' : 'Full'));
      // What has been swapped out meanwhile is missing.
      if (isPartial && !(await this.#knowsUsedPages())) await this.#send(snapshotRequest(directory));
    }
    if (signal.aborted) throw new BangerError('CANCELLED', `the snapshot of ${this.#spec.vmName} was cancelled`);
  }

  async #knowsUsedPages(): Promise<boolean> {
    const [maps = '', status = ''] = await Promise.all(
      ['maps', 'status'].map((name) => this.#host.readIfThere(`/proc/${this.process.pid}/${name}`)),
    );
    return knowsUsedPages(maps, status);
  }

  /** Hands over what another machine begins with, and goes on if it ran. */
  async #handOver(to: MachineSpec, directory: string, signal: AbortSignal): Promise<void> {
    const { state, version } = await this.#control().describe();
    const { version: present } = await this.#installation.locate();
    await assertForkable(this.#host, { from: this.#spec, to, directory, running: parseVersion(version), present });
    await this.#writeFacts(directory);
    const isRunning = state === 'Running';
    if (isRunning) await this.#host.touch(forkMark(this.#spec));
    try {
      if (isRunning) await this.pause();
      await this.#writeMemory(directory, signal);
      await copyDisks(this.#host, this.#spec, to, signal);
    } finally {
      if (isRunning) await this.goOnAfterFork();
    }
  }

  /** Lets a machine go on that stands still for a fork, perhaps of an earlier daemon. Others stay as they are. */
  async goOnAfterFork(): Promise<void> {
    const mark = forkMark(this.#spec);
    if (!(await this.#host.exists(mark))) return;
    if ((await this.#control().describe()).state === 'Paused') await this.resume();
    await this.#host.removeTree(mark);
  }

  /** The guest has closed its side of open connections, and nothing would tell this side. */
  async resume(): Promise<void> {
    const [refused, resume] = resumeRequests();
    await this.#send(refused).catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
    });
    await this.#send(resume);
    this.#channels.cut();
    this.#resumeListener();
  }

  onResume(listener: () => void): void {
    this.#resumeListener = listener;
  }

  async holdDisks(isHeld: boolean): Promise<void> {
    const requests = isHeld ? holdRequests(this.#spec) : limitRequests(this.#spec, { disk: this.#diskLimit });
    for (const request of requests) await this.#send(request);
  }

  async readMetrics(): Promise<Record<string, unknown>> {
    for (let attempt = 0; attempt < METRICS_ATTEMPTS; attempt++) {
      const line = this.#metrics?.next(METRICS_TIMEOUT_MS);
      await this.#send({ method: 'PUT', path: '/actions', body: { action_type: 'FlushMetrics' } });
      const metrics = await line;
      if (metrics !== undefined) return metrics;
    }
    throw this.#failure('wrote no metrics');
  }

  async updateDisk(index: number, path?: string): Promise<void> {
    const disk = this.#spec.disks[index];
    if (disk === undefined) throw new BangerError('INVALID_INPUT', `${this.#spec.vmName} has no disk ${index}`);
    await this.#send(diskUpdate(index, this.#launch.seen(this.#spec, path ?? disk.path)));
  }

  async setLimits(limits: MachineLimits): Promise<void> {
    this.#diskLimit = limits.disk ?? this.#diskLimit;
    for (const request of limitRequests(this.#spec, limits)) await this.#send(request);
  }

  detach(): void {
    this.#channels.close();
    this.#lastWord?.close();
    this.#metrics?.close();
    for (const output of this.#outputs) output.close();
    this.#api?.close();
  }

  async #send(request: ApiRequest): Promise<void> {
    await this.#control().send(request);
  }

  #control(): ApiClient {
    if (this.#api !== undefined) return this.#api;
    throw this.#failure('has no control connection');
  }

  #failure(what: string): BangerError {
    const { vmName, vmmLogPath } = this.#spec;
    return new BangerError('VMM_FAILED', `Firecracker of ${vmName} ${what}`, { logPath: vmmLogPath });
  }

  async #finish(status: ProcessStatus | undefined): Promise<void> {
    await Promise.race([Promise.all(this.#outputs.map(({ ended }) => ended)), sleep(DRAIN_LIMIT_MS)]);
    // The program that knows may be unavailable; then the reason stays unknown.
    const told = status ?? (await this.#launch.status(this.#spec).catch(() => undefined));
    if (told !== undefined) this.#evidence.status = told;
    this.detach();
    this.#exit.resolve(judgeExit(this.#evidence));
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof BangerError && error.details?.['fault'] !== undefined;
}
