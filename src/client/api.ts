// The typed API of the daemon: a function for each thing to do, over the declared routes.
import type { Duplex } from 'node:stream';
import { BangerError } from '../model/errors.ts';
import { execProblem } from '../model/limits.ts';
import { type CallOf, type Requests, createRequests } from './call.ts';
import { type ApiReply, type ApiRequest, bodyOf, type Send } from './send.ts';
import type { BuildImage, ImportImage, RegisterImage } from '../api/image-schemas.ts';
import type { PortForwardBody } from '../api/port-schemas.ts';
import type { Routes } from '../api/routes.ts';
import type { CreateVm, ExecBody, Operation } from '../api/schemas.ts';

type Call<Name extends keyof Routes> = CallOf<Name, Routes[Name]>;
type BodyOf<Name extends keyof Routes> = Call<Name> extends { body?: infer Body } ? NonNullable<Body> : never;
type QueryOf<Name extends keyof Routes> = Call<Name> extends { query?: infer Query } ? NonNullable<Query> : never;

export type WaitTarget = NonNullable<QueryOf<'GET /v1/vms/:ref/wait'>['for']>;
export type LogKind = NonNullable<QueryOf<'GET /v1/vms/:ref/logs'>['kind']>;
export type VmVerb = 'start' | 'stop' | 'pause' | 'suspend' | 'resume' | 'restart' | 'kill' | 'delete' | 'set' | 'fork';
/** The arguments of each verb. */
export type VmVerbBody = { delete: undefined; pause: undefined; resume: undefined } & {
  [Verb in Exclude<VmVerb, 'delete' | 'pause' | 'resume'>]: BodyOf<`POST /v1/vms/:ref/${Verb}`>;
};
type BeginVerb = { [Verb in VmVerb]: (ref: string, body?: VmVerbBody[Verb]) => Promise<Operation> };
type FetchBundle = BodyOf<'POST /v1/bundle/fetch'>;

/** The daemon as typed functions. Each throws the BangerError of the daemon's reply, or DAEMON_UNREACHABLE. */
export type Api = ReturnType<typeof createApi>;

export function createApi(send: Send) {
  const call = createRequests<Routes>(send);
  return {
    /** Every route by its name, also routes without a function of their own: `call.json('GET /v1/vms/:ref', { params: { ref } })`. */
    call,
    ...vmApi(call),
    ...guestApi(call),
    ...imageApi(call),
    ...operationApi(call),
    ...bundleApi(call),
    ...daemonApi(call),
  };
}

function vmApi(call: Requests<Routes>) {
  const verbs: BeginVerb = {
    start: (ref, body) => call.begin('POST /v1/vms/:ref/start', { params: { ref }, body }),
    stop: (ref, body) => call.begin('POST /v1/vms/:ref/stop', { params: { ref }, body }),
    pause: (ref) => call.begin('POST /v1/vms/:ref/pause', { params: { ref } }),
    suspend: (ref, body) => call.begin('POST /v1/vms/:ref/suspend', { params: { ref }, body }),
    resume: (ref) => call.begin('POST /v1/vms/:ref/resume', { params: { ref } }),
    restart: (ref, body) => call.begin('POST /v1/vms/:ref/restart', { params: { ref }, body }),
    kill: (ref, body) => call.begin('POST /v1/vms/:ref/kill', { params: { ref }, body }),
    set: (ref, body = {}) => call.begin('POST /v1/vms/:ref/set', { params: { ref }, body }),
    fork: (ref, body = { names: [] }) => call.begin('POST /v1/vms/:ref/fork', { params: { ref }, body }),
    delete: (ref) => call.begin('DELETE /v1/vms/:ref', { params: { ref } }),
  };
  return {
    listVms: () => call.json('GET /v1/vms'),
    showVm: (ref: string) => call.json('GET /v1/vms/:ref', { params: { ref } }),
    /** @param attach whether the VM's creation is cancelled when this client disconnects */
    createVm: (body: CreateVm, attach: boolean) => call.begin('POST /v1/vms', { body, attach }),
    /** Begins one of the verbs that need no more than a small body. */
    beginVm: <Verb extends VmVerb>(ref: string, verb: Verb, body?: VmVerbBody[Verb]) => verbs[verb](ref, body),
    /** @param forMs default: until it is released */
    keepVmAwake: (ref: string, forMs?: number) => call.json('POST /v1/vms/:ref/keep-awake', { params: { ref }, body: { forMs } }),
    releaseVm: (ref: string) => call.json('DELETE /v1/vms/:ref/keep-awake', { params: { ref } }),
    health: (ref: string) => call.json('GET /v1/vms/:ref/health', { params: { ref } }),
    /** @param of with `running`, throws WRONG_STATE unless the VM runs: ssh's own error would say less */
    sshAccess: (ref: string, of?: 'running') => call.json('GET /v1/vms/:ref/ssh', { params: { ref }, query: { running: of && '1' } }),
    sshLogin: () => call.json('GET /v1/ssh'),
    /** @throws TIMEOUT if the VM does not get there within `timeoutMs` */
    waitVm: (ref: string, target: WaitTarget, timeoutMs: number | undefined, signal?: AbortSignal) =>
      call.json('GET /v1/vms/:ref/wait', { params: { ref }, query: { for: target, timeoutMs: timeoutMs?.toString() }, signal }),
  };
}

function guestApi(call: Requests<Routes>) {
  return {
    ports: (ref: string, signal?: AbortSignal) => call.json('GET /v1/vms/:ref/ports', { params: { ref }, signal }),
    forwards: (ref: string) => call.json('GET /v1/vms/:ref/forwards', { params: { ref } }),
    addForward: (ref: string, body: PortForwardBody) => call.json('POST /v1/vms/:ref/forwards', { params: { ref }, body }),
    removeForward: (ref: string, { hostPort, ...place }: Omit<PortForwardBody, 'guestPort'>) =>
      call.json('DELETE /v1/vms/:ref/forwards', { params: { ref }, query: { ...place, hostPort: String(hostPort) } }),
    /** @param tail number of lines from the end; default: all */
    logs: async (ref: string, kind: LogKind, follow: boolean, tail?: number, signal?: AbortSignal): Promise<AsyncGenerator<Buffer>> => {
      const query = { kind, follow: follow ? '1' : '0', tail: tail?.toString() } as const;
      return bodyOf(await call.bytes('GET /v1/vms/:ref/logs', { params: { ref }, query, signal }));
    },
    statFile: (ref: string, path: string) => call.json('GET /v1/vms/:ref/stat', { params: { ref }, query: { path } }),
    /** The body is the file; the headers `x-mode` and `x-size` describe it. */
    getFile: (ref: string, path: string): Promise<ApiReply> => call.bytes('GET /v1/vms/:ref/files', { params: { ref }, query: { path } }),
    /** @param mode permission bits */
    putFile: (ref: string, path: string, mode: number, upload: NonNullable<ApiRequest['upload']>) =>
      call.done('PUT /v1/vms/:ref/files', { params: { ref }, query: { path, mode: mode.toString(8).padStart(4, '0') }, upload }),
    /**
     * @param signal closes the connection, which ends the command
     * @returns the raw stream of frames. @throws INVALID_INPUT for a command that Linux cannot run, before anything is sent
     */
    exec: async (ref: string, body: ExecBody, onWait?: ApiRequest['onWait'], signal?: AbortSignal): Promise<Duplex> => {
      const problem = execProblem(body.argv, body.env);
      if (problem === undefined) return call.frames('POST /v1/vms/:ref/exec', { params: { ref }, body, onWait, signal });
      throw new BangerError('INVALID_INPUT', `the command ${problem}`, { remedy: 'pass long input on stdin, or in a file' });
    },
    /** @param target `ssh` or an address inside the guest, `127.0.0.1:8080` */
    tunnel: (ref: string, target: string, onWait?: ApiRequest['onWait'], signal?: AbortSignal): Promise<Duplex> =>
      call.frames('POST /v1/vms/:ref/tunnel', { params: { ref }, body: { target }, onWait, signal }),
  };
}

function imageApi(call: Requests<Routes>) {
  return {
    listImages: () => call.json('GET /v1/images'),
    showImage: (ref: string) => call.json('GET /v1/images/:ref', { params: { ref } }),
    provisionSteps: () => call.json('GET /v1/provision-steps'),
    buildImage: (body: BuildImage, attach: boolean) => call.begin('POST /v1/images/build', { body, attach }),
    importImage: (body: ImportImage, attach: boolean) => call.begin('POST /v1/images/import', { body, attach }),
    registerImage: (body: RegisterImage) => call.json('POST /v1/images/register', { body }),
    promoteImage: (ref: string, body: BodyOf<'POST /v1/images/:ref/promote'>, attach: boolean) =>
      call.begin('POST /v1/images/:ref/promote', { params: { ref }, body, attach }),
    deleteImage: (ref: string) => call.begin('DELETE /v1/images/:ref', { params: { ref } }),
    warmImage: (ref: string, attach: boolean) => call.begin('POST /v1/images/:ref/warm', { params: { ref }, attach }),
    listTemplates: () => call.json('GET /v1/templates'),
    deleteTemplate: (ref: string) => call.begin('DELETE /v1/templates/:ref', { params: { ref } }),
    pruneImages: (body: BodyOf<'POST /v1/images/prune'>) => call.begin('POST /v1/images/prune', { body }),
  };
}

function operationApi(call: Requests<Routes>) {
  return {
    listOperations: () => call.json('GET /v1/operations'),
    operation: (id: string) => call.json('GET /v1/operations/:id', { params: { id } }),
    /** Events from the first to `end`. */
    operationEvents: (id: string, signal?: AbortSignal) => call.lines('GET /v1/operations/:id/events', { params: { id }, signal }),
    cancelOperation: (id: string) => call.done('DELETE /v1/operations/:id', { params: { id } }),
  };
}

function bundleApi(call: Requests<Routes>) {
  return {
    bundle: () => call.json('GET /v1/bundle'),
    buildBundle: (body: BodyOf<'POST /v1/bundle/build'>, attach: boolean) => call.begin('POST /v1/bundle/build', { body, attach }),
    fetchBundle: (body: Pick<FetchBundle, 'manifest' | 'sha256'>, attach: boolean) => call.begin('POST /v1/bundle/fetch', { body, attach }),
    packageBundle: (body: BodyOf<'POST /v1/bundle/package'>, attach: boolean) => call.begin('POST /v1/bundle/package', { body, attach }),
    fetchFirecracker: (release: Pick<FetchBundle, 'url' | 'sha256'>, attach: boolean) =>
      call.begin('POST /v1/bundle/fetch', { body: { program: 'firecracker', ...release }, attach }),
  };
}

function daemonApi(call: Requests<Routes>) {
  return {
    stats: (signal?: AbortSignal) => call.json('GET /v1/stats', { signal }),
    daemon: () => call.json('GET /v1/daemon'),
    /** Sessions and operations that end with the daemon. */
    sessions: () => call.json('GET /v1/daemon/sessions'),
    prepareShutdown: () => call.begin('POST /v1/daemon/prepare-shutdown', {}),
    shutdown: () => call.json('POST /v1/daemon/shutdown'),
    doctor: () => call.json('GET /v1/doctor'),
    doctorFix: () => call.json('POST /v1/doctor/fix'),
  };
}
