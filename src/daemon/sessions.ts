import { BangerError } from '../model/errors.ts';
import { held } from '../lifecycle/adopt.ts';
import { wakeForUse } from '../lifecycle/vm/wake.ts';
import type { LiveMachine } from '../context/machines.ts';
import type { Vm } from '../model/vm.ts';
import { wakesOnUse } from '../model/vm-sleep.ts';
import { decideAction } from '../model/vm-state.ts';
import type { DaemonServices } from './services.ts';

/** Reserved for the daemon: the watch of ports, and requests that stop or examine a VM that is full of sessions. */
const RESERVED_CHANNELS = 4;
/** Short commands of a program that starts many at once get their turn; a program with more waiting than this is out of control. */
const MOST_WAITING = 64;
const TURN_TIMEOUT_MS = 60_000;

/**
 * Marks a VM as used while `work` runs; open sessions keep it from counting as idle. The number of sessions of a VM is limited; further
 * ones wait for their turn.
 * @param client.signal fires when the client has disconnected, which ends the wait
 * @param client.onWait gets the number of sessions if the client has to wait for one of them
 * @throws WRONG_STATE if the VM does not run, or ends before the turn; BUSY if too many wait, or the turn does not come
 */
export async function withSession<T>(
  services: DaemonServices,
  vm: Vm,
  work: (live: LiveMachine) => Promise<T>,
  client: Client = {},
): Promise<T> {
  const live = await awake(services, vm, client.signal);
  await takeTurn(live, vm, client);
  touch(services, vm);
  try {
    return await work(live);
  } finally {
    // A session that ends makes room for the one that has waited longest.
    const next = live.waiting.shift();
    if (next === undefined) live.sessions--;
    else next();
    touch(services, vm);
  }
}

/** Wakes the VM if it sleeps. @returns its machine; nothing can put it to sleep before the session counts */
async function awake(services: DaemonServices, { id, name }: Vm, signal?: AbortSignal): Promise<LiveMachine> {
  for (;;) {
    await wakeForUse(services, { id });
    const vm = services.vms.records.find(id);
    if (vm === undefined) throw new BangerError('NOT_FOUND', `the VM ${name} was deleted`, { remedy: 'banger vm list' });
    decideAction(vm, 'exec');
    const live = await held(services, vm, signal);
    const present = services.vms.records.find(id);
    if (present === undefined || !wakesOnUse(present)) return live;
  }
}

type Client = { signal?: AbortSignal; onWait?: (sessions: number) => void };

async function takeTurn(live: LiveMachine, vm: Vm, { signal, onWait }: Client): Promise<void> {
  const limit = live.machine.channelCount - RESERVED_CHANNELS;
  if (live.sessions < limit) {
    live.sessions++;
    return;
  }
  if (live.waiting.length >= MOST_WAITING) throw busy(vm, limit);
  onWait?.(limit);
  const ended = live.companions.signal;
  const over = AbortSignal.any([ended, AbortSignal.timeout(TURN_TIMEOUT_MS), ...(signal === undefined ? [] : [signal])]);
  await new Promise<void>((resolve, reject) => {
    const turn = (): void => {
      over.removeEventListener('abort', leave);
      resolve();
    };
    const leave = (): void => {
      live.waiting = live.waiting.filter((one) => one !== turn);
      reject(
        ended.aborted ? new BangerError('WRONG_STATE', `VM ${vm.name} ended`, { remedy: `banger vm start ${vm.name}` }) : busy(vm, limit),
      );
    };
    live.waiting.push(turn);
    over.addEventListener('abort', leave, { once: true });
  });
}

function busy(vm: Vm, limit: number): BangerError {
  return new BangerError('BUSY', `VM ${vm.name} has ${limit} open sessions, the most it can have`, {
    remedy: 'end one of them, or use a port of the guest, which needs no session',
  });
}

/** At both ends: a session that began long ago and has just ended was a use. The VM may be gone by then. */
function touch(services: DaemonServices, vm: Vm): void {
  if (services.vms.records.find(vm.id) !== undefined)
    services.vms.records.update(vm.id, { lastUsedAt: services.world.clock.now().toISOString() });
}
