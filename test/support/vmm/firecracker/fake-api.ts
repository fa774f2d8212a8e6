// What a Firecracker process remembers and refuses, without a machine.
import { closeSync, constants, openSync, readFileSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { API_FACTS, type Parsed, type RawRequest, parseRequest } from './api-rules.ts';

/** The machine that the API drives. */
export type FakeMachine = {
  bindVsock(path: string): Promise<void>;
  start(config: { bootArguments: string; serialFd: number | undefined }): void;
  setPaused(paused: boolean): void;
  /** Tells the guest that its vsock connections are reset. */
  tellReset(): void;
  /** To and from a snapshot. */
  state(): Record<string, unknown>;
  restore(state: Record<string, unknown>, vsock?: string): Promise<void>;
  pressCtrlAltDel(): void;
};

export type Answer = { status: 200 | 204 | 400; body?: Record<string, unknown> };

const MAX_COMMAND_LINE_BYTES = 2048;
const MAX_VCPUS = 32;
const MAX_INTERFACE_NAME = 15;

/** The beginning of what this program writes as the state of a machine. */
const SNAPSHOT_MAGIC = 'snapshot of a simulated Firecracker';
const MEMORY_FILE_BYTES = 4096;
const STATUS_OF_FAILED_LOAD = 1;
/** The process ends after the answer is sent. */
const ANSWER_MS = 5;

type Drive = { path: string; flags: 'r' | 'r+' };
type Snapshot = { magic: string; drives: [string, Drive][]; interfaces: string[]; machine: Record<string, unknown> };

const BEFORE_START = new Set(
  'boot-source cpu-config logger metrics serial machine-config vsock balloon entropy mmds/config hotplug/memory snapshot/load'
    .split(' ')
    .flatMap((path) => [`PUT /${path}`, ...(path === 'machine-config' ? [`PATCH /${path}`] : [])]),
);
const AFTER_START = new Set([
  ...['PATCH /drives/{drive_id}', 'PATCH /network-interfaces/{iface_id}', 'PATCH /pmem/{id}', 'PATCH /vm', 'PATCH /balloon'],
  ...['PATCH /balloon/statistics', 'PATCH /balloon/hinting/start', 'PATCH /balloon/hinting/stop', 'PATCH /hotplug/memory'],
  ...['GET /balloon/statistics', 'GET /balloon/hinting/status', 'GET /hotplug/memory', 'PUT /snapshot/create'],
]);
/** Only with PCI could these be added later. */
const DEVICES = new Set(['PUT /drives/{drive_id}', 'PUT /network-interfaces/{iface_id}', 'PUT /pmem/{id}']);

/** Only output and a CPU template may be set before a snapshot is loaded. */
const isConfiguration = (name: string): boolean =>
  DEVICES.has(name) || (BEFORE_START.has(name) && !/ \/(?:logger|metrics|serial|cpu-config|snapshot\/load)$/.test(name));

/** The rules have checked that required members are strings. */
const textOf = (body: Record<string, unknown>, field: string): string => (typeof body[field] === 'string' ? body[field] : '');

class Fault extends Error {}

export class FakeApi {
  readonly #id: string;
  readonly #machine: FakeMachine;
  #state: 'Not started' | 'Running' | 'Paused' = 'Not started';
  #machineConfig: Record<string, unknown> = { vcpu_count: 1, mem_size_mib: 128, smt: false, track_dirty_pages: false, huge_pages: 'None' };
  #boot: { kernelFd: number; hasEmptyInitramfs: boolean; arguments: string } | undefined;
  /** Whether any request has configured the machine. */
  #isConfigured = false;
  #serialPath: string | undefined;
  #metricsFd: number | undefined;
  readonly #drives = new Map<string, Drive>();
  readonly #interfaces = new Set<string>();

  constructor(id: string, machine: FakeMachine) {
    this.#id = id;
    this.#machine = machine;
  }

  async handle(request: RawRequest): Promise<Answer> {
    try {
      const parsed = parseRequest(request);
      if ('fault' in parsed) throw new Fault(parsed.fault);
      this.#checkPhase(parsed);
      if (isConfiguration(parsed.name)) this.#isConfigured = true;
      const answer = await this.#act(parsed);
      return answer === undefined ? { status: 204 } : { status: 200, body: answer };
    } catch (error) {
      return { status: 400, body: { fault_message: error instanceof Error ? error.message : String(error) } };
    }
  }

  #checkPhase({ name, body }: Parsed): void {
    const isStarted = this.#state !== 'Not started';
    const action = name === 'PUT /actions' ? body['action_type'] : undefined;
    const isEarly = BEFORE_START.has(name) || DEVICES.has(name) || action === 'InstanceStart';
    const isLate = AFTER_START.has(name) || (action !== undefined && action !== 'InstanceStart');
    if (isStarted && isEarly) throw new Fault('not after the start of the machine');
    if (!isStarted && isLate) throw new Fault('not before the start of the machine');
  }

  #act({ name, id = '', body }: Parsed): Promise<Record<string, unknown> | undefined> | Record<string, unknown> | undefined {
    const text = (field: string): string => textOf(body, field);
    switch (name) {
      case 'GET /':
        return { id: this.#id, state: this.#state, vmm_version: API_FACTS.version, app_name: 'Firecracker' };
      case 'GET /version':
        return { firecracker_version: API_FACTS.version };
      case 'GET /machine-config':
        return this.#machineConfig;
      case 'PUT /machine-config':
      case 'PATCH /machine-config':
        return this.#configure(body);
      case 'PUT /boot-source':
        return this.#setBootSource(body);
      case 'PUT /drives/{drive_id}':
        return this.#setDrive(id, body);
      case 'PATCH /drives/{drive_id}':
        return this.#patchDrive(id, body);
      case 'PUT /network-interfaces/{iface_id}':
        if (text('host_dev_name').length > MAX_INTERFACE_NAME) throw new Fault('the name of the TAP is too long');
        return void this.#interfaces.add(id);
      case 'PATCH /network-interfaces/{iface_id}':
        if (!this.#interfaces.has(id)) throw new Fault(`no interface ${id}`);
        return undefined;
      case 'PUT /metrics':
        if (this.#metricsFd !== undefined) throw new Fault('metrics are set already');
        return void (this.#metricsFd = openPipe(text('metrics_path')));
      case 'PUT /logger':
        if (body['log_path'] !== undefined) closeSync(openPipe(text('log_path')));
        return undefined;
      case 'PUT /serial':
        return void (this.#serialPath = body['serial_out_path'] === undefined ? undefined : text('serial_out_path'));
      case 'PUT /vsock':
        return this.#machine.bindVsock(text('uds_path')).then(() => undefined);
      case 'PATCH /vm':
        return this.#setPaused(body['state'] === 'Paused');
      case 'PUT /snapshot/create':
        return this.#createSnapshot(body);
      case 'PUT /snapshot/load':
        return this.#loadSnapshot(body);
      case 'PUT /actions':
        return this.#runAction(text('action_type'));
      default:
        // Everything else is accepted and has no effect that a test could see.
        return name.startsWith('GET') ? {} : undefined;
    }
  }

  #configure(body: Record<string, unknown>): undefined {
    const next = { ...this.#machineConfig, ...body };
    const count = Number(next['vcpu_count']);
    if (count < 1 || count > MAX_VCPUS) throw new Fault(`between 1 and ${MAX_VCPUS} vCPUs`);
    if (Number(next['mem_size_mib']) < 1) throw new Fault('a machine needs memory');
    this.#machineConfig = next;
  }

  #setBootSource(body: Record<string, unknown>): undefined {
    const kernelFd = openSync(textOf(body, 'kernel_image_path'), 'r');
    const hasEmptyInitramfs = body['initrd_path'] !== undefined && statSync(textOf(body, 'initrd_path')).size === 0;
    const bootArguments = textOf(body, 'boot_args') || 'reboot=k panic=1 nomodule';
    if (bootArguments.length >= MAX_COMMAND_LINE_BYTES) throw new Fault('the command line is too long');
    this.#boot = { kernelFd, hasEmptyInitramfs, arguments: bootArguments };
  }

  #setDrive(id: string, body: Record<string, unknown>): undefined {
    if (body['path_on_host'] === undefined) throw new Fault('a drive needs path_on_host');
    this.#open(id, { path: textOf(body, 'path_on_host'), flags: body['is_read_only'] === true ? 'r' : 'r+' });
  }

  #open(id: string, drive: Drive): void {
    closeSync(openSync(drive.path, drive.flags));
    this.#drives.set(id, drive);
  }

  #patchDrive(id: string, body: Record<string, unknown>): undefined {
    const drive = this.#drives.get(id);
    if (drive === undefined) throw new Fault(`no drive ${id}`);
    if (body['path_on_host'] !== undefined) this.#open(id, { ...drive, path: textOf(body, 'path_on_host') });
  }

  #setPaused(paused: boolean): undefined {
    this.#state = paused ? 'Paused' : 'Running';
    this.#machine.setPaused(paused);
  }

  #createSnapshot(body: Record<string, unknown>): undefined {
    if (this.#state !== 'Paused') throw new Fault('only a paused machine has a snapshot');
    // Before the files are opened.
    this.#machine.tellReset();
    const { drives, interfaces } = { drives: [...this.#drives], interfaces: [...this.#interfaces] };
    writeFileSync(textOf(body, 'mem_file_path'), Buffer.alloc(MEMORY_FILE_BYTES));
    writeFileSync(
      textOf(body, 'snapshot_path'),
      JSON.stringify({ magic: SNAPSHOT_MAGIC, drives, interfaces, machine: this.#machine.state() }),
    );
  }

  /** After a snapshot that fails because of its content, the process cannot continue. */
  async #loadSnapshot(body: Record<string, unknown>): Promise<undefined> {
    const backend = body['mem_backend'] as Record<string, unknown> | undefined;
    if ((backend === undefined) === (body['mem_file_path'] === undefined)) throw new Fault('either mem_backend or mem_file_path');
    if (this.#isConfigured) throw new Fault('not after the machine was configured');
    try {
      const state = JSON.parse(readFileSync(textOf(body, 'snapshot_path'), 'utf8')) as Snapshot;
      if (state.magic !== SNAPSHOT_MAGIC) throw new Fault('this is no snapshot');
      closeSync(openSync(backend === undefined ? textOf(body, 'mem_file_path') : textOf(backend, 'backend_path'), 'r'));
      for (const [id, drive] of state.drives) this.#open(id, drive);
      for (const name of state.interfaces) this.#interfaces.add(name);
      const overrides = (body['network_overrides'] ?? []) as { iface_id?: string }[];
      const stranger = overrides.find(({ iface_id: name }) => !this.#interfaces.has(name ?? ''));
      if (stranger !== undefined) throw new Fault(`no interface ${stranger.iface_id}`);
      const vsock = body['vsock_override'] as { uds_path: string } | undefined;
      await this.#machine.restore(state.machine, vsock?.uds_path);
    } catch (error) {
      setTimeout(() => process.exit(STATUS_OF_FAILED_LOAD), ANSWER_MS);
      throw error;
    }
    this.#setPaused(body['resume_vm'] !== true);
  }

  #runAction(action: string): undefined {
    if (action === 'FlushMetrics') this.#writeMetrics();
    else if (action === 'SendCtrlAltDel') this.#machine.pressCtrlAltDel();
    else this.#start();
  }

  #writeMetrics(): void {
    const line = { utc_timestamp_ms: Date.now(), api_server: { process_startup_time_us: 1 }, padding: 'x'.repeat(8000) };
    if (this.#metricsFd !== undefined) writeSync(this.#metricsFd, `${JSON.stringify(line)}\n`);
  }

  #start(): void {
    if (this.#boot === undefined) throw new Fault('no kernel is configured');
    const magic = Buffer.alloc(4);
    readSync(this.#boot.kernelFd, magic, 0, 4, 0);
    if (magic.toString('latin1') !== '\x7fELF') throw new Fault('the kernel is not an ELF file');
    if (this.#boot.hasEmptyInitramfs) throw new Fault('the initramfs is empty');
    const serialFd = this.#serialPath === undefined ? undefined : openPipe(this.#serialPath);
    this.#state = 'Running';
    this.#machine.start({ bootArguments: this.#boot.arguments, serialFd });
  }
}

/** Never waits for a reader, and a pipe without a reader is not an error. */
function openPipe(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK, 0o644);
}
