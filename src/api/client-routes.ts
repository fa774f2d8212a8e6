// One typed function per route of docs/api.md.
import type { Duplex } from 'node:stream';
import { BangerError } from '../model/errors.ts';
import { execObstacle } from '../model/limits.ts';
import { type ApiReply, type ApiRequest, bodyOf, readJson, readNdjson, type Send } from './client.ts';
import type { BuildImage, ImageView, ImportImage, ProvisionStepView, RegisterImage } from './image-schemas.ts';
import type {
  BundleStatus,
  CreateVm,
  DaemonStatus,
  DoctorFix,
  DoctorReport,
  ExecBody,
  Health,
  Operation,
  OpenSession,
  OperationEvent,
  SshAccess,
  SshLogin,
  Stats,
  VmView,
} from './schemas.ts';
import type { GuestPortView, PortForwardBody, PortForwardView } from './port-schemas.ts';

export type WaitTarget = 'agent' | 'ssh' | 'services' | 'running' | 'stopped';
export type LogKind = 'serial' | 'vmm' | 'events';
export type GuestStat = { type: 'file' | 'directory' | 'symlink' | 'other'; mode: number; sizeBytes: number };
export type VmVerb = 'start' | 'stop' | 'restart' | 'kill' | 'delete' | 'set';

/** @returns a path with encoded segments and query; undefined values are left out */
export function pathOf(segments: readonly string[], query: Readonly<Record<string, string | undefined>> = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]));
  return `/v1/${segments.map(encodeURIComponent).join('/')}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`;
}

/** Header that ties an operation to its watcher (docs/api.md). */
const ATTACH = { 'Banger-Attach': '1' };

/** The daemon as typed functions. Every one throws the BangerError that the daemon answered, or DAEMON_UNREACHABLE. */
export type Api = ReturnType<typeof createApi>;

export function createApi(send: Send) {
  const json = async <T>(request: ApiRequest): Promise<T> => (await readJson(await send(request))) as T;
  const get = <T>(path: string, signal?: AbortSignal): Promise<T> =>
    json<T>({ method: 'GET', path, ...(signal === undefined ? {} : { signal }) });
  const done = async (request: ApiRequest): Promise<void> => void (await send(request)).socket.destroy();
  return { ...vmRoutes(get, json), ...guestRoutes(get, send, done), ...imageRoutes(get, json), ...hostRoutes(get, json, send, done) };
}

type Get = <T>(path: string, signal?: AbortSignal) => Promise<T>;
type Json = <T>(request: ApiRequest) => Promise<T>;
type Done = (request: ApiRequest) => Promise<void>;

function vmRoutes(get: Get, json: Json) {
  return {
    listVms: () => get<VmView[]>('/v1/vms'),
    showVm: (ref: string) => get<VmView>(pathOf(['vms', ref])),
    /** @param attach whether the VM's creation ends with this client */
    createVm: (body: CreateVm, attach: boolean) =>
      json<Operation>({ method: 'POST', path: '/v1/vms', json: body, headers: attach ? ATTACH : {} }),
    /** Begins one of the verbs that take no more than a small body. */
    beginVm: (ref: string, verb: VmVerb, body: Readonly<Record<string, unknown>> = {}) =>
      verb === 'delete'
        ? json<Operation>({ method: 'DELETE', path: pathOf(['vms', ref]) })
        : json<Operation>({ method: 'POST', path: pathOf(['vms', ref, verb]), json: body }),
    /** Gives a running VM the way to the outside, or takes it. */
    health: (ref: string) => get<Health>(pathOf(['vms', ref, 'health'])),
    ports: (ref: string, signal?: AbortSignal) => get<GuestPortView[]>(pathOf(['vms', ref, 'ports']), signal),
    forwards: (ref: string) => get<PortForwardView[]>(pathOf(['vms', ref, 'forwards'])),
    addForward: (ref: string, body: PortForwardBody) =>
      json<PortForwardView[]>({ method: 'POST', path: pathOf(['vms', ref, 'forwards']), json: body }),
    removeForward: (ref: string, { hostPort, ...place }: Omit<PortForwardBody, 'guestPort'>) =>
      json<PortForwardView[]>({ method: 'DELETE', path: pathOf(['vms', ref, 'forwards'], { ...place, hostPort: String(hostPort) }) }),
    /** @param of with `running`, throws WRONG_STATE when the VM does not run: ssh itself would say less */
    sshAccess: (ref: string, of?: 'running') => get<SshAccess>(pathOf(['vms', ref, 'ssh'], { running: of && '1' })),
    sshLogin: () => get<SshLogin>('/v1/ssh'),
    /** @throws TIMEOUT when it is not so within `timeoutMs` */
    waitVm: (ref: string, target: WaitTarget, timeoutMs: number | undefined, signal?: AbortSignal) =>
      get<VmView>(pathOf(['vms', ref, 'wait'], { for: target, timeoutMs: timeoutMs?.toString() }), signal),
  };
}

function guestRoutes(get: Get, send: Send, done: Done) {
  return {
    /** @param tail number of lines at the end to begin with; default: all */
    logs: async (ref: string, kind: LogKind, follow: boolean, tail?: number): Promise<AsyncGenerator<Buffer>> =>
      bodyOf(
        await send({ method: 'GET', path: pathOf(['vms', ref, 'logs'], { kind, follow: follow ? '1' : '0', tail: tail?.toString() }) }),
      ),
    statFile: (ref: string, path: string) => get<GuestStat>(pathOf(['vms', ref, 'stat'], { path })),
    /** The body is the file; `x-mode` and `x-size` tell about it. */
    getFile: (ref: string, path: string): Promise<ApiReply> => send({ method: 'GET', path: pathOf(['vms', ref, 'files'], { path }) }),
    /** @param mode permission bits */
    putFile: (ref: string, path: string, mode: number, upload: NonNullable<ApiRequest['upload']>) =>
      done({
        method: 'PUT',
        path: pathOf(['vms', ref, 'files'], { path, mode: mode.toString(8).padStart(4, '0') }),
        upload,
      }),
    /** @returns the raw stream of frames. @throws INVALID_INPUT for what is no command of Linux, before anything is sent */
    exec: async (ref: string, body: ExecBody, onWait?: ApiRequest['onWait']): Promise<Duplex> => {
      const obstacle = execObstacle(body.argv, body.env);
      if (obstacle !== undefined) {
        throw new BangerError('INVALID_INPUT', `the command ${obstacle}`, { remedy: 'hand over what is long on stdin, or in a file' });
      }
      return (await send({ method: 'POST', path: pathOf(['vms', ref, 'exec']), json: body, upgrade: true, ...(onWait && { onWait }) }))
        .socket;
    },
    /** @param target `ssh` or an address inside the guest, `127.0.0.1:8080` */
    tunnel: async (ref: string, target: string, onWait?: ApiRequest['onWait']): Promise<Duplex> =>
      (await send({ method: 'POST', path: pathOf(['vms', ref, 'tunnel']), json: { target }, upgrade: true, ...(onWait && { onWait }) }))
        .socket,
  };
}

function imageRoutes(get: Get, json: Json) {
  return {
    listImages: () => get<ImageView[]>('/v1/images'),
    showImage: (ref: string) => get<ImageView>(pathOf(['images', ref])),
    provisionSteps: () => get<ProvisionStepView[]>('/v1/provision-steps'),
    buildImage: (body: BuildImage, attach: boolean) =>
      json<Operation>({ method: 'POST', path: '/v1/images/build', json: body, headers: attach ? ATTACH : {} }),
    importImage: (body: ImportImage, attach: boolean) =>
      json<Operation>({ method: 'POST', path: '/v1/images/import', json: body, headers: attach ? ATTACH : {} }),
    registerImage: (body: RegisterImage) => json<ImageView>({ method: 'POST', path: '/v1/images/register', json: body }),
    promoteImage: (ref: string, body: { name?: string }, attach: boolean) =>
      json<Operation>({ method: 'POST', path: pathOf(['images', ref, 'promote']), json: body, headers: attach ? ATTACH : {} }),
    deleteImage: (ref: string) => json<Operation>({ method: 'DELETE', path: pathOf(['images', ref]) }),
    pruneImages: (body: { all?: boolean }) => json<Operation>({ method: 'POST', path: '/v1/images/prune', json: body }),
  };
}

function hostRoutes(get: Get, json: Json, send: Send, done: Done) {
  return {
    stats: (signal?: AbortSignal) => get<Stats>('/v1/stats', signal),
    daemon: () => get<DaemonStatus>('/v1/daemon'),
    /** What ends with the daemon. */
    sessions: () => get<OpenSession[]>('/v1/daemon/sessions'),
    shutdown: () => json<{ pid: number }>({ method: 'POST', path: '/v1/daemon/shutdown', json: {} }),
    listOperations: () => get<Operation[]>('/v1/operations'),
    operation: (id: string) => get<Operation>(pathOf(['operations', id])),
    /** Events from the first on, until `end`. */
    operationEvents: async (id: string, signal?: AbortSignal): Promise<AsyncGenerator<OperationEvent>> => {
      const request: ApiRequest = { method: 'GET', path: pathOf(['operations', id, 'events']) };
      return readNdjson(await send(signal === undefined ? request : { ...request, signal })) as AsyncGenerator<OperationEvent>;
    },
    cancelOperation: (id: string) => done({ method: 'DELETE', path: pathOf(['operations', id]) }),
    bundle: () => get<BundleStatus>('/v1/bundle'),
    buildBundle: (body: { force?: boolean; firecracker?: string; jailer?: string }, attach: boolean) =>
      json<Operation>({ method: 'POST', path: '/v1/bundle/build', json: body, headers: attach ? ATTACH : {} }),
    /** @param body.manifest address of a runtime-bundle.toml, default: the one of the installation; body.sha256 of that file */
    fetchBundle: (body: { manifest?: string; sha256?: string }, attach: boolean) =>
      json<Operation>({ method: 'POST', path: '/v1/bundle/fetch', json: body, headers: attach ? ATTACH : {} }),
    /** @param body.path absolute, on the machine of the daemon */
    packageBundle: (body: { path: string; url?: string }, attach: boolean) =>
      json<Operation>({ method: 'POST', path: '/v1/bundle/package', json: body, headers: attach ? ATTACH : {} }),
    fetchFirecracker: (body: { url?: string; sha256?: string }, attach: boolean) =>
      json<Operation>({
        method: 'POST',
        path: '/v1/bundle/fetch',
        json: { program: 'firecracker', ...body },
        headers: attach ? ATTACH : {},
      }),
    doctor: () => get<DoctorReport>('/v1/doctor'),
    doctorFix: () => json<DoctorFix>({ method: 'POST', path: '/v1/doctor/fix' }),
  };
}
