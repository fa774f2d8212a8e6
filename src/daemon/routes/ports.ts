import type { GuestPortView, PortForwardView } from '../../api/port-schemas.ts';
import { listenerOf, listenersOf, reachPorts } from '../../capabilities/ports.ts';
import type { ForwardResult } from '../../drivers/network/contract.ts';
import type { GuestPort } from '../../guest/protocol.ts';
import { held } from '../../lifecycle/adopt.ts';
import { makeContext } from '../../context/vm-context.ts';
import { portKey } from '../../model/forward-ports.ts';
import { decideAction } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';
import type { DaemonServices } from '../services.ts';

/** The ssh server speaks first, and would take the probes for an attack. */
const SSH_PORT = 22;
/** A guest that listens on every port is not probed on all of them at once. */
const MAX_QUESTIONS = 64;

/** @returns the guest's listeners, and where they are reachable */
export async function portViews(services: DaemonServices, vm: Vm): Promise<GuestPortView[]> {
  decideAction(vm, 'exec');
  const live = await held(services, vm);
  const guestPorts = await live.agent.ports();
  const results = await reachPorts(makeContext(services, vm), live, guestPorts);
  return withSchemes(
    services,
    vm,
    guestPorts.map((port) => placed(port, results)),
  );
}

/** @returns the user's forwards from ports of the host */
export function forwardViews(services: DaemonServices, vm: Vm): PortForwardView[] {
  const results = services.vms.machines.find(vm.id)?.reach.results ?? [];
  return vm.forwards.map((forward) => {
    const result = results.find((candidate) => portKey(candidate) === portKey(listenerOf(forward)));
    return { ...forward, vm: vm.name, open: typeof result?.hostPort === 'number', problem: result?.problem ?? null };
  });
}

function placed(port: GuestPort, results: readonly ForwardResult[]): GuestPortView {
  const isReachable = listenersOf([port]).length > 0;
  const ofPort = isReachable ? results.filter((result) => result.protocol === port.protocol && result.port === port.port) : [];
  const own = ofPort.find((result) => result.at === undefined);
  return {
    ...port,
    hostAddress: own?.hostAddress ?? null,
    hostPort: own?.hostPort ?? null,
    problem: own?.problem ?? null,
    scheme: null,
    url: null,
    nameUrl: null,
    localhostUrl: null,
    forwards: ofPort.flatMap(({ at, hostPort }) =>
      at === undefined ? [] : [{ hostAddress: at.address, hostPort: at.port, open: hostPort !== null }],
    ),
  };
}

/** Finds out the protocol of each reachable TCP port. */
async function withSchemes(services: DaemonServices, vm: Vm, ports: readonly GuestPortView[]): Promise<GuestPortView[]> {
  const asked = ports.filter((p) => p.protocol === 'tcp' && p.hostPort !== null && p.port !== SSH_PORT).slice(0, MAX_QUESTIONS);
  const host = `${vm.name}.vm`;
  const schemes = await services.reach.probeSchemes(
    asked.map((p) => ({
      address: p.hostAddress ?? '',
      port: p.hostPort ?? 0,
      host,
      listener: `${vm.id} ${vm.startedAt} ${p.port} ${p.pid}`,
    })),
  );
  const found = new Map(asked.map((p, at) => [p, schemes[at] ?? null]));
  return ports.map((p) => {
    const scheme = found.get(p) ?? null;
    if (scheme === null) return p;
    const urls = { scheme, url: urlOf(scheme, p.hostAddress ?? '', p.hostPort ?? 0) };
    if (scheme !== 'http') return { ...p, ...urls };
    const { name, localhost } = services.reach.httpPortsOf(p.hostAddress ?? '');
    const named = (zone: string, port: number | null) => (port === null ? null : urlOf('http', `${p.port}.${vm.name}.${zone}`, port));
    return { ...p, ...urls, nameUrl: named('vm', name), localhostUrl: named('localhost', localhost) };
  });
}

function urlOf(scheme: 'http' | 'https', host: string, port: number): string {
  const isUsual = port === (scheme === 'http' ? 80 : 443);
  return `${scheme}://${host}${isUsual ? '' : `:${port}`}/`;
}
