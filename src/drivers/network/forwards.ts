import type { LineReply } from '../../lib/line-protocol.ts';
import { BangerError } from '../../model/errors.ts';
import { fallbackPort, isLowPort, portKey } from '../../model/forward-ports.ts';
import type { ForwardResult, GuestListener } from './contract.ts';
import { given } from '../../lib/given.ts';
import { portProblemOf } from '../../lib/port-problem.ts';

/** One listening socket of the holder. */
export type Forward = GuestListener & { hostAddress: string; hostPort: number; guestAddress: string };

/** @returns the forwards in the reply to `list` */
export function parseForwards(lines: readonly string[]): Forward[] {
  return lines.flatMap((line) => {
    const [verb, protocol, hostAddress, hostPort, guestAddress, port] = line.split(' ');
    if (verb !== 'listen' || (protocol !== 'tcp' && protocol !== 'udp') || hostAddress === undefined || guestAddress === undefined)
      return [];
    return [{ protocol, hostAddress, hostPort: Number(hostPort), guestAddress, port: Number(port) }];
  });
}

/** The changes after which exactly `wanted` is forwarded. */
export type ForwardPlan = { keep: Forward[]; remove: Forward[]; add: GuestListener[] };

/**
 * Compares the present forwards with the wanted ones. A substitute for a low port gives way if the guest itself opens that number.
 * @param current forwards of this one VM
 */
export function planForwards(current: readonly Forward[], wanted: readonly GuestListener[]): ForwardPlan {
  const unique = [...new Map(wanted.map((listener) => [portKey(listener), listener])).values()];
  const wantedKeys = new Set(unique.map(portKey));
  const isTakenByReal = (f: Forward): boolean =>
    f.at === undefined && f.hostPort !== f.port && wantedKeys.has(portKey({ protocol: f.protocol, port: f.hostPort }));
  const keep = current.filter((f) => wantedKeys.has(portKey(f)) && !isTakenByReal(f));
  const kept = new Set(keep.map(portKey));
  return { keep, remove: current.filter((f) => !keep.includes(f)), add: unique.filter((listener) => !kept.has(portKey(listener))) };
}

/** Sends requests to the holder and returns its replies in order. */
type Ask = (requests: readonly string[]) => Promise<LineReply[]>;

/** A guest, and its address on the host; a network whose guests need none has only forwards with an explicit address. */
export type ForwardedGuest = { guestAddress: string; loopbackAddress?: string };

/**
 * Makes exactly `wanted` reachable: one round trip to list and one to change, a third for refused low ports.
 * @returns one result for each listener, in the order of `wanted`, without repetitions
 */
export async function applyForwards(ask: Ask, vm: ForwardedGuest, wanted: readonly GuestListener[]): Promise<ForwardResult[]> {
  const [listing] = await ask(['list']);
  const all = listing?.ok === true ? parseForwards(listing.lines) : [];
  const plan = planForwards(
    all.filter((f) => f.guestAddress === vm.guestAddress).map((f) => placed(f, vm.loopbackAddress)),
    wanted,
  );
  const listen = (l: GuestListener, hostPort: number): string => listenLine(vm, l, hostPort);
  const results = new Map<string, ForwardResult>();
  const record = (l: GuestListener, hostPort: number, reply: LineReply | undefined): void => {
    const hostAddress = l.at?.address ?? ownAddressOf(vm);
    const base = { protocol: l.protocol, port: l.port, hostAddress, ...given({ at: l.at }) };
    if (reply?.ok === true) results.set(portKey(l), { ...base, hostPort });
    else results.set(portKey(l), { ...base, hostPort: null, problem: describeProblem(reply, hostAddress, hostPort) });
  };
  for (const f of plan.keep) record(f, f.hostPort, { ok: true, lines: [] });

  const removals = plan.remove.map((f) => `unlisten ${f.protocol} ${f.hostAddress} ${f.hostPort}`);
  const replies = await ask([...removals, ...plan.add.map((l) => listen(l, l.at?.port ?? l.port))]);
  const refused: GuestListener[] = [];
  plan.add.forEach((l, i) => {
    const reply = replies[removals.length + i];
    if (l.at === undefined && needsStandIn(l, reply)) refused.push(l);
    else record(l, l.at?.port ?? l.port, reply);
  });

  const standIns = refused.map((l) => ({ l, hostPort: standIn(l, wanted, results) }));
  const late = await ask(standIns.map(({ l, hostPort }) => listen(l, hostPort)));
  standIns.forEach(({ l, hostPort }, i) => record(l, hostPort, late[i]));
  return [...new Set(wanted.map(portKey))].flatMap((key) => results.get(key) ?? []);
}

/** An ordinary user cannot bind a low port, and port 80 of the VM's address may belong to the HTTP front. */
function needsStandIn(l: GuestListener, reply: LineReply | undefined): boolean {
  return reply?.ok === false && (reply.errno === 'EACCES' || reply.errno === 'EADDRINUSE') && isLowPort(l.port);
}

/** @throws INTERNAL for a network whose guests have no address on the host */
function ownAddressOf({ guestAddress, loopbackAddress }: ForwardedGuest): string {
  if (loopbackAddress === undefined) throw new BangerError('INTERNAL', `${guestAddress} has no address of its own on the host`);
  return loopbackAddress;
}

/** A forward that is not on the VM's own address is where the user wanted it. */
function placed(forward: Forward, loopbackAddress: string | undefined): Forward {
  const { hostAddress, hostPort } = forward;
  return hostAddress === loopbackAddress ? forward : { ...forward, at: { address: hostAddress, port: hostPort } };
}

function listenLine(vm: ForwardedGuest, l: GuestListener, hostPort: number): string {
  const [verb, address] = l.at === undefined ? ['listen', ownAddressOf(vm)] : ['publish', l.at.address];
  return `${verb} ${l.protocol} ${address} ${hostPort} ${vm.guestAddress} ${l.port}`;
}

/**
 * Opens a port of the host and closes it again.
 * @returns why it is not available
 */
export async function tryForward(ask: Ask, vm: ForwardedGuest, l: Required<GuestListener>): Promise<string | undefined> {
  if (l.at === undefined) return undefined;
  const { address, port } = l.at;
  const [reply] = await ask([listenLine(vm, l, port)]);
  if (reply?.ok !== true) return describeProblem(reply, address, port);
  await ask([`unlisten ${l.protocol} ${address} ${port}`]);
  return undefined;
}

function standIn(l: GuestListener, wanted: readonly GuestListener[], results: ReadonlyMap<string, ForwardResult>): number {
  const used = new Set<number>();
  for (const other of wanted) if (other.at === undefined && other.protocol === l.protocol) used.add(other.port);
  for (const r of results.values()) if (r.at === undefined && r.protocol === l.protocol && r.hostPort !== null) used.add(r.hostPort);
  return fallbackPort(l.port, used);
}

function describeProblem(reply: LineReply | undefined, address: string, port: number): string {
  if (reply === undefined || reply.ok) return 'the network holder did not answer';
  return portProblemOf(reply.errno, address, port) ?? reply.text;
}
