import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../../host/host.ts';
import { BangerError } from '../../../model/errors.ts';
import { AGENT_SERIAL_PORTS } from '../../../model/guest-agent.ts';
import type { ProcessIdentity } from '../../../model/vm.ts';
import type { AgentChannel, Machine, MachineExit, MachineSpec, UserPort } from '../contract.ts';
import type { ProcessStatus } from '../process-end.ts';
import type { LoggedOutput } from '../output-log.ts';
import { type SnapshotKey, writeKey } from '../snapshot-key.ts';
import { AgentChannels } from './agent-channels.ts';
import { type BootExperience, BootWatch } from './boot-watch.ts';
import { DiskCopies } from './disk-copies.ts';
import { assertAlike, endForkOfEarlierDaemon, type ForkTarget, receiveMachine, sendMachine } from './fork.ts';
import { socketPaths, writesMemoryFile } from './machine-config.ts';
import type { QmpClient, QmpEvent } from './qmp-client.ts';
import { parseUserPorts } from './user-ports.ts';
import { letGoOn, loadState, migrationSocket, MigrationWatch, saveState, snapshotKey } from './snapshot.ts';
import { type ExitEvidence, judgeExit, killProcess } from './vmm-process.ts';

/** How often to continue a guest that was paused because the host's disk was full, until its write succeeds. */
const FULL_DISK_RETRY_MS = 5000;
/** A guest that continues first repeats the failed write; after this time without an error it has succeeded. */
const FULL_DISK_OVER_MS = 2000;
/** How long to read what a dead QEMU left in its sockets; more means that another process holds the other end. */
const DRAIN_LIMIT_MS = 1000;

/** One running QEMU under this daemon's control. */
export class QemuMachineControl implements Machine {
  readonly process: ProcessIdentity;
  readonly accelerator: 'kvm' | 'tcg';
  readonly channelCount = AGENT_SERIAL_PORTS;
  readonly exited: Promise<MachineExit>;
  readonly hung?: Promise<string>;
  readonly forwardUserPort?: NonNullable<Machine['forwardUserPort']>;
  readonly removeUserPort?: NonNullable<Machine['removeUserPort']>;
  readonly listUserPorts?: NonNullable<Machine['listUserPorts']>;
  readonly fork: NonNullable<Machine['fork']>;
  readonly #host: Host;
  readonly #spec: MachineSpec;
  readonly #channels: AgentChannels;
  readonly #exit = Promise.withResolvers<MachineExit>();
  readonly #evidence: ExitEvidence = { terminated: false };
  #qmp: QmpClient | undefined;
  #serial: LoggedOutput | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isDiskFull = false;
  #fullDiskListener: (isFull: boolean) => void = () => undefined;
  /** Until the guest agent has answered for the first time. */
  readonly #boot = new AbortController();
  readonly #bootWatch: BootWatch | undefined;
  #resumeListener: () => void = () => undefined;
  readonly #migration = new MigrationWatch();
  readonly #copies = new DiskCopies();
  readonly #tscKhz: () => Promise<number | undefined>;

  /**
   * @param parts.boot for a machine that is being powered on now, whose boot may hang
   * @param parts.fork starts the other QEMU
   */
  constructor(parts: {
    host: Host;
    spec: MachineSpec;
    process: ProcessIdentity;
    accelerator: 'kvm' | 'tcg';
    fresh: boolean;
    /** Frequency of the host's time stamp counter, as far as it is known. */
    tscKhz: () => Promise<number | undefined>;
    boot?: { experience: BootExperience; onOver: () => void };
    fork: NonNullable<Machine['fork']>;
  }) {
    this.fork = parts.fork;
    this.process = parts.process;
    this.accelerator = parts.accelerator;
    this.exited = this.#exit.promise;
    this.#host = parts.host;
    this.#tscKhz = parts.tscKhz;
    this.#spec = parts.spec;
    this.#channels = new AgentChannels(socketPaths(parts.spec).agents, parts.fresh);
    if (parts.boot !== undefined) {
      const { experience, onOver } = parts.boot;
      const watch = {
        vcpuCount: parts.spec.vcpuCount,
        activity: () => parts.host.processActivity(parts.process),
        isPaused: () => this.#isDiskFull,
        over: this.#boot.signal,
      };
      this.#bootWatch = new BootWatch(watch, experience);
      this.hung = this.#bootWatch.hung;
      this.#boot.signal.addEventListener('abort', onOver, { once: true });
    }
    if (parts.spec.network.kind === 'user') {
      this.forwardUserPort = (forward) => this.#changeForward('hostfwd_add', forward);
      this.removeUserPort = (forward) => this.#changeForward('hostfwd_remove', forward);
      this.listUserPorts = async () => parseUserPorts(await this.#monitor('info usernet'));
    }
  }

  /** Takes over the connections and begins to wait for the end. @param gone settles once the process has ended */
  attach(qmp: QmpClient, serial: LoggedOutput, gone: Promise<ProcessStatus | undefined>): void {
    this.#qmp = qmp;
    this.#serial = serial;
    void gone.then((status) => this.#finish(status));
  }

  /** Starts the guest's processors. */
  async powerOn(): Promise<void> {
    await this.#control().command('cont');
    this.#bootWatch?.begin();
  }

  /** Loads the state that QEMU was started with. */
  async load(hasMemoryFile: boolean): Promise<void> {
    await loadState({ qmp: this.#control(), watch: this.#migration, hasMemoryFile });
  }

  /** Becomes what another machine is, whose spec has as many disks. The other one goes on. */
  async becomeLike(source: QemuMachineControl, signal: AbortSignal): Promise<void> {
    const socketPath = migrationSocket(this.#spec);
    const received = await receiveMachine(this.#control(), this.#migration, socketPath);
    await source.#send({ disks: this.#spec.disks, socketPath }, signal);
    await received();
    await this.#host.removeName(socketPath);
  }

  async #send(to: ForkTarget, signal: AbortSignal): Promise<void> {
    const { accelerator } = this;
    await sendMachine({ qmp: this.#control(), accelerator, migration: this.#migration, copies: this.#copies }, to, signal);
  }

  /** @param key of the machine that is going to be like this one. @throws UNSUPPORTED, NO_SPACE */
  async assertForkable(key: SnapshotKey): Promise<void> {
    this.#refuseFullDisk();
    assertAlike(this.#spec, await this.#key(false), key);
  }

  /** @returns what must be the same where the machine goes on, as its QEMU was started */
  async #key(hasMemoryFile: boolean): Promise<SnapshotKey> {
    const program = `/proc/${this.process.pid}/exe`;
    const acceleration = { accelerator: this.accelerator, tscKhz: await this.#tscKhz() };
    return snapshotKey(this.#host, { spec: this.#spec, program, argv: this.#argv(), hasMemoryFile, ...acceleration });
  }

  #argv(): string[] {
    return this.#host.commandLineOf(this.process.pid).slice(0, -1);
  }

  /** Takes output of the guest. */
  readonly onOutput = (chunk: Uint8Array): void => this.#bootWatch?.onOutput(chunk);

  onEvent(event: QmpEvent): void {
    if (event.name === 'SHUTDOWN' && typeof event.data['reason'] === 'string') this.#evidence.shutdownReason = event.data['reason'];
    if (event.name === 'RESUME') this.#resumeListener();
    this.#migration.onEvent(event);
    this.#copies.onEvent(event);
    if (event.name !== 'BLOCK_IO_ERROR' || event.data['action'] !== 'stop') return;
    this.#setDiskFull(true);
    this.#continueLater();
  }

  /** A guest that an error had paused already was paused by a full disk, while no daemon was there to see it. */
  async continueAfterRestart(): Promise<void> {
    const { status = '' } = ((await this.#qmp?.command('query-status')) ?? {}) as { status?: string };
    await endForkOfEarlierDaemon(this.#control(), status);
    if (status !== 'io-error' && status !== 'prelaunch') return;
    if (status === 'io-error') this.#setDiskFull(true);
    await this.#continue();
  }

  onFullDisk(listener: (isFull: boolean) => void): void {
    this.#fullDiskListener = listener;
    listener(this.#isDiskFull);
  }

  onResume(listener: () => void): void {
    this.#resumeListener = listener;
  }

  async openAgentChannel(signal: AbortSignal): Promise<AgentChannel> {
    const channel = await this.#channels.open(signal);
    if (!this.#boot.signal.aborted) {
      this.#boot.abort();
      void this.#bootWatch?.learn();
    }
    return channel;
  }

  async requestShutdown(): Promise<void> {
    await this.#control().command('system_powerdown');
  }

  async terminate(): Promise<void> {
    this.#evidence.terminated = true;
    if (!(await killProcess(this.#host, this.process))) {
      throw new BangerError('VMM_FAILED', `QEMU of ${this.#spec.vmName} (pid ${this.process.pid}) did not end`, {
        logPath: this.#spec.vmmLogPath,
        details: { pid: this.process.pid },
      });
    }
    await this.exited;
  }

  async pause(): Promise<void> {
    await this.#control().command('stop');
  }

  async resume(): Promise<void> {
    await letGoOn(this.#control());
  }

  async createSnapshot(directory: string, signal: AbortSignal): Promise<void> {
    const [host, spec, qmp] = [this.#host, this.#spec, this.#control()];
    this.#refuseFullDisk();
    const hasMemoryFile = writesMemoryFile(this.#argv());
    await writeKey(host, directory, await this.#key(hasMemoryFile));
    try {
      await saveState({ host, qmp, watch: this.#migration, spec, hasMemoryFile }, directory, signal);
    } catch (error) {
      await letGoOn(qmp);
      throw error;
    }
  }

  /** @throws NO_SPACE while the guest waits for room */
  #refuseFullDisk(): void {
    if (this.#isDiskFull) throw new BangerError('NO_SPACE', `${this.#spec.vmName} waits for room on the host's disk`, { remedy: 'df -h' });
  }

  detach(): void {
    clearTimeout(this.#retry);
    this.#boot.abort();
    this.#channels.close();
    this.#serial?.close();
    this.#qmp?.close();
  }

  async #finish(status: ProcessStatus | undefined): Promise<void> {
    if (status !== undefined) this.#evidence.status = status;
    const drained = Promise.all([this.#qmp?.closed, this.#serial?.ended]);
    await Promise.race([drained, sleep(DRAIN_LIMIT_MS)]);
    this.detach();
    this.#exit.resolve(judgeExit(this.#evidence));
  }

  #continueLater(): void {
    clearTimeout(this.#retry);
    // If it fails, QEMU has ended, which `exited` reports; if the disk is still full, the next event follows.
    this.#retry = setTimeout(() => void this.#continue().catch(() => undefined), FULL_DISK_RETRY_MS);
    this.#retry.unref();
  }

  async #continue(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#setDiskFull(false), FULL_DISK_OVER_MS);
    this.#retry.unref();
    await this.#qmp?.command('cont');
  }

  #setDiskFull(isFull: boolean): void {
    if (isFull === this.#isDiskFull) return;
    this.#isDiskFull = isFull;
    this.#fullDiskListener(isFull);
  }

  #control(): QmpClient {
    if (this.#qmp !== undefined) return this.#qmp;
    throw new BangerError('VMM_FAILED', `QEMU of ${this.#spec.vmName} has no control connection`, { logPath: this.#spec.vmmLogPath });
  }

  /** QMP has no commands for the user network. @returns the monitor's text for people */
  async #monitor(commandLine: string): Promise<string> {
    return String(await this.#control().command('human-monitor-command', { 'command-line': commandLine }));
  }

  /** The reply to a successful add is empty. */
  async #changeForward(verb: 'hostfwd_add' | 'hostfwd_remove', forward: UserPort): Promise<void> {
    const from = `${forward.protocol}:${forward.hostAddress}:${forward.hostPort}`;
    const rule = verb === 'hostfwd_add' ? `${from}-:${forward.guestPort}` : from;
    const answer = await this.#monitor(`${verb} net0 ${rule}`);
    // Removing prints "… removed" or "… not found"; either way the forward is gone.
    if (verb === 'hostfwd_remove' || answer === '') return;
    throw new BangerError('NETWORK_FAILED', `QEMU cannot listen on ${forward.hostAddress}:${forward.hostPort}`, {
      remedy: 'ss -ltnp',
      details: { ...forward, answer: answer.trim().slice(0, 200) },
    });
  }
}
