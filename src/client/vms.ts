// VMs for programs: verbs that return when their work has ended, and the sessions of the command.
import type { Duplex } from 'node:stream';
import type { PortForwardBody, PortForwardView } from '../api/port-schemas.ts';
import type { CreateVm, Operation, SetVm, VmView } from '../api/schemas.ts';
import { BangerError } from '../model/errors.ts';
import type { Api, LogKind, VmVerb, VmVerbBody, WaitTarget } from './api.ts';
import type { Caller } from './caller.ts';
import type { CopyPaths } from './copy-paths.ts';
import { type CommandOptions, exec, type ExecOptions, openExec } from './exec.ts';
import { followOperation, type FollowOptions, type OperationEnd, runOperation } from './operations.ts';
import { tunnelStream } from './tunnel.ts';

export type LogOptions = {
  /** Default: the serial console. */
  kind?: LogKind;
  /** Continues as the log grows. */
  follow?: boolean;
  /** Number of lines from the end; default: all. */
  tail?: number;
  signal?: AbortSignal;
};

/** A port of the daemon's host that leads to a port of the guest. */
export type Forward = Pick<PortForwardBody, 'hostPort' | 'guestPort'> & Partial<PortForwardBody>;
export type ForwardPlace = Pick<Forward, 'hostPort' | 'hostAddress' | 'protocol'>;

/**
 * A VM is named by name, id or unambiguous beginning of an id. An abort of `signal` undoes a creation or a start; for other verbs it ends
 * the wait.
 */
export type Vms = ReturnType<typeof createVms>;

export function createVms(api: Api, caller: Caller) {
  return { ...verbs(api), ...sessions(api, caller), ...ports(api) };
}

type Begin = () => Promise<Operation>;

function verbs(api: Api) {
  const doing =
    <Verb extends VmVerb>(name: string, verb: Verb, body?: VmVerbBody[Verb]): Begin =>
    () =>
      api.beginVm(name, verb, body);
  const undoable = async (name: string | undefined, begin: Begin, options?: FollowOptions): Promise<VmView> =>
    vmOfEnd(name, await runOperation(api, begin, options));
  const lasting = async (name: string, begin: Begin, options?: FollowOptions): Promise<VmView> =>
    vmOfEnd(name, await followOperation(api, (await begin()).id, options));
  return {
    list: () => api.listVms(),
    show: (name: string) => api.showVm(name),
    /** @returns the VM when it is ready. @throws the error of the creation, after its rollback */
    create: (body: CreateVm = {}, options?: FollowOptions) => undoable(body.name, () => api.createVm(body, true), options),
    start: (name: string, body: VmVerbBody['start'] = {}, options?: FollowOptions) => undoable(name, doing(name, 'start', body), options),
    stop: (name: string, body: VmVerbBody['stop'] = {}, options?: FollowOptions) => lasting(name, doing(name, 'stop', body), options),
    pause: (name: string, options?: FollowOptions) => lasting(name, doing(name, 'pause'), options),
    suspend: (name: string, body: VmVerbBody['suspend'] = {}, options?: FollowOptions) =>
      lasting(name, doing(name, 'suspend', body), options),
    resume: (name: string, options?: FollowOptions) => undoable(name, doing(name, 'resume'), options),
    /** @returns the new VMs of these names when they run. @throws the error of the fork, after its rollback */
    fork: async (name: string, names: string[], options?: FollowOptions): Promise<VmView[]> => {
      await undoable(name, doing(name, 'fork', { names }), options);
      return Promise.all(names.map((one) => api.showVm(one)));
    },
    restart: (name: string, options?: FollowOptions) => lasting(name, doing(name, 'restart'), options),
    kill: (name: string, options?: FollowOptions) => lasting(name, doing(name, 'kill'), options),
    set: (name: string, body: SetVm, options?: FollowOptions) => lasting(name, doing(name, 'set', body), options),
    delete: async (name: string, options?: FollowOptions): Promise<void> =>
      void (await followOperation(api, (await api.beginVm(name, 'delete')).id, options)),
    /** @throws TIMEOUT if the VM does not get there in time */
    wait: (name: string, target: WaitTarget, { timeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
      api.waitVm(name, target, timeoutMs, signal),
    /** @param forMs default: until it is released */
    keepAwake: (name: string, forMs?: number) => api.keepVmAwake(name, forMs),
    release: (name: string) => api.releaseVm(name),
    health: (name: string) => api.health(name),
  };
}

/** @returns the VM as it is at the end. @throws NOT_FOUND if the VM was deleted meanwhile */
function vmOfEnd(name: string | undefined, { vm }: OperationEnd): VmView {
  if (vm !== null) return vm;
  throw new BangerError('NOT_FOUND', `${name ?? 'the VM'} was deleted meanwhile`, { remedy: 'banger vm list' });
}

function sessions(api: Api, caller: Caller) {
  const copies = async (): Promise<CopyPaths> => (await import('./copy-paths.ts')).createCopyPaths(api, caller);
  // Code that starts programs is loaded on first use.
  const copyTo: CopyPaths['copyTo'] = async (...words) => (await copies()).copyTo(...words);
  const copyFrom: CopyPaths['copyFrom'] = async (...words) => (await copies()).copyFrom(...words);
  return {
    exec: (name: string, argv: readonly string[], options?: ExecOptions) => exec(api, name, argv, options),
    openExec: (name: string, argv: readonly string[], options?: CommandOptions) => openExec(api, name, argv, options),
    copyTo,
    copyFrom,
    /** The bytes of a log. Leaving the loop ends the request. */
    async *logs(name: string, { kind = 'serial', follow = false, tail, signal }: LogOptions = {}): AsyncGenerator<Buffer, void> {
      yield* await api.logs(name, kind, follow, tail, signal);
    },
    /** @param target a port of the guest, or `ssh`. @returns a stream to it */
    tunnel: async (name: string, target: number | 'ssh', { signal }: { signal?: AbortSignal } = {}): Promise<Duplex> =>
      tunnelStream(await api.tunnel(name, target === 'ssh' ? target : `127.0.0.1:${target}`, undefined, signal)),
  };
}

function ports(api: Api) {
  const placeOf = ({ hostPort, hostAddress = '127.0.0.1', protocol = 'tcp' }: ForwardPlace): Required<ForwardPlace> => ({
    hostPort,
    hostAddress,
    protocol,
  });
  return {
    /** The guest's listeners, and their addresses on the daemon's host. */
    ports: (name: string, { signal }: { signal?: AbortSignal } = {}) => api.ports(name, signal),
    forwards: (name: string) => api.forwards(name),
    /**
     * Forwards a port of the daemon's host to a port of the guest until the forward is removed; it is open while the VM runs. @throws
     * PORT_TAKEN
     */
    forward: async (name: string, forward: Forward): Promise<PortForwardView> => {
      const place = placeOf(forward);
      const all = await api.addForward(name, { ...place, guestPort: forward.guestPort });
      return found(all, place);
    },
    unforward: async (name: string, place: ForwardPlace): Promise<void> => void (await api.removeForward(name, placeOf(place))),
  };
}

function found(all: readonly PortForwardView[], place: Required<ForwardPlace>): PortForwardView {
  const made = all.find(
    (one) => one.hostPort === place.hostPort && one.hostAddress === place.hostAddress && one.protocol === place.protocol,
  );
  if (made === undefined) throw new BangerError('INTERNAL', `the daemon does not know the forward that it made`, { details: place });
  return made;
}
