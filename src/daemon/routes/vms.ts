import { VM_ROUTES } from '../../api/routes/vms.ts';
import type { Health, SshLogin } from '../../api/schemas.ts';
import { held } from '../../lifecycle/adopt.ts';
import { createVm } from '../../lifecycle/vm/create.ts';
import { forkVm } from '../../lifecycle/vm/fork.ts';
import { setVm } from '../../lifecycle/vm/set.ts';
import { keepAwake } from '../../lifecycle/vm/keep-awake.ts';
import { pauseVm } from '../../lifecycle/vm/pause.ts';
import { suspendVm } from '../../lifecycle/vm/suspend.ts';
import { deleteVm, killVm, restartVm, resumeVm, startVm, stopVm } from '../../lifecycle/vm/verbs.ts';
import { gaveUp, needsGuest, waitForVm } from '../../lifecycle/vm/wait.ts';
import { wakeForUse } from '../../lifecycle/vm/wake.ts';
import { given } from '../../lib/given.ts';
import { BangerError } from '../../model/errors.ts';
import { resolveReference } from '../../model/reference.ts';
import { decideAction, seenState } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';
import { JsonText, served, type ServedRoutes } from '../handlers.ts';
import type { DaemonServices } from '../services.ts';
import { vmListText, vmView } from '../views.ts';

/** VMs: reading their records, the verbs as operations, and questions that the guest or the connection to it answers. */
export function vmHandlers(services: DaemonServices): ServedRoutes {
  const resolve = ({ ref }: { ref: string }): Vm => resolveReference('VM', services.vms.records.seen, ref);
  const login = async (): Promise<SshLogin> => ({ user: 'root', privateKeyPath: await services.reach.clientPrivateKeyPath() });
  return served(VM_ROUTES, {
    'GET /v1/vms': () => new JsonText(vmListText(services)),
    'GET /v1/vms/:ref': ({ params }) => vmView(services, resolve(params)),
    'POST /v1/vms': ({ body: { name, image, labels, start = true, waitFor: level, cold, ...asked } }) =>
      createVm(services, {
        ...given({ name, image, labels, cold }),
        asked,
        start,
        waitForServices: wantsServices(level),
      }),
    'POST /v1/vms/:ref/start': ({ params, body }) =>
      startVm(services, resolve(params), {
        waitForServices: wantsServices(body?.waitFor),
        ...given({ rescue: body?.rescue, discardMemory: body?.discardMemory }),
      }),
    'POST /v1/vms/:ref/stop': ({ params, body }) => stopVm(services, resolve(params), given({ graceMs: body?.graceMs })),
    'POST /v1/vms/:ref/pause': ({ params }) => pauseVm(services, resolve(params)),
    'POST /v1/vms/:ref/suspend': ({ params, body }) => suspendVm(services, resolve(params), given({ endSessions: body?.endSessions })),
    'POST /v1/vms/:ref/resume': ({ params }) => resumeVm(services, resolve(params)),
    'POST /v1/vms/:ref/fork': async ({ params, body }) => {
      await wakeForUse(services, resolve(params));
      return forkVm(services, resolve(params), body.names);
    },
    'POST /v1/vms/:ref/restart': ({ params, body }) =>
      restartVm(services, resolve(params), {
        ...given({ graceMs: body?.graceMs, rescue: body?.rescue }),
        waitForServices: wantsServices(body?.waitFor),
      }),
    'POST /v1/vms/:ref/kill': ({ params, body }) => killVm(services, resolve(params), given({ signal: body?.signal })),
    'POST /v1/vms/:ref/set': async ({ params, body }) => {
      await wakeForUse(services, resolve(params));
      return setVm(services, resolve(params), body);
    },
    'POST /v1/vms/:ref/keep-awake': async ({ params, body }) =>
      vmView(services, await keepAwake(services, resolve(params), { forMs: body?.forMs ?? null })),
    'DELETE /v1/vms/:ref/keep-awake': ({ params }) =>
      vmView(services, services.vms.records.update(resolve(params).id, { keepAwake: null })),
    'DELETE /v1/vms/:ref': ({ params }) => deleteVm(services, resolve(params)),
    'GET /v1/vms/:ref/health': ({ params }) => health(services, resolve(params)),
    'GET /v1/vms/:ref/wait': async ({ params, query }, { signal }) => {
      if (needsGuest(query.for)) await wakeForUse(services, resolve(params));
      return vmView(services, await waitForVm(services, resolve(params), query, signal));
    },
    'GET /v1/vms/:ref/ssh': async ({ params, query }) => {
      if (query.running !== undefined) await wakeForUse(services, resolve(params));
      const vm = resolve(params);
      if (query.running !== undefined) {
        decideAction(vm, 'exec');
        services.vms.machines.get(vm);
      }
      return {
        ...(await login()),
        hostKeyAlias: `banger-${vm.id}`,
        hostPublicKey: vm.sshHostKey ?? '',
        knownHostsPath: services.vms.pathsOf(vm).knownHosts,
      };
    },
    'GET /v1/ssh': login,
  });
}

function wantsServices(level: 'agent' | 'ssh' | 'services' | undefined): boolean {
  return level === undefined || level === 'services';
}

async function health(services: DaemonServices, vm: Vm): Promise<Health> {
  const base = { vm: vm.name, state: seenState(vm), init: null, uptimeMs: null, clockOffsetMs: null, problem: problemOf(vm) };
  try {
    if (vm.state === 'paused') return { ...base, agent: 'not-running' };
    const live = services.vms.machines.whyLeft(vm.id) === undefined ? services.vms.machines.find(vm.id) : await held(services, vm);
    if (live === undefined) return { ...base, agent: 'not-running' };
    const { init, uptimeMs } = await live.agent.healthz();
    const clock = await live.agent.readClock();
    const clockOffsetMs = clock === undefined ? null : Math.round(clock.offsetMs);
    const present = services.vms.records.find(vm.id) ?? vm;
    return { ...base, problem: problemOf(present, init), agent: 'ok', init, uptimeMs, clockOffsetMs };
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    return { ...base, agent: 'unreachable' };
  }
}

/** Present problems come first, then the parts that could not be set up at the start. */
function problemOf({ name, lastError, runtime }: Vm, init?: Health['init']): string | null {
  const now = [...(lastError === null ? [] : [lastError]), ...(init === 'maintenance' ? [gaveUp(name)] : [])];
  const all = [...now, ...(runtime?.troubles ?? []).map(({ reason }) => reason)];
  return all.length === 0 ? null : all.join('; ');
}
