import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type Health, healthSchema, sshAccessSchema, sshLoginSchema, vmSchema } from '../../api/schemas.ts';
import { held } from '../../lifecycle/adopt.ts';
import { resolveReference } from '../../model/reference.ts';
import { makeContext } from '../../lifecycle/vm-context.ts';
import { BangerError } from '../../model/errors.ts';
import { decideAction } from '../../model/vm-state.ts';
import type { Vm } from '../../model/vm.ts';
import { clientSignal } from '../request-signal.ts';
import type { TypedServer } from '../server.ts';
import type { DaemonServices } from '../services.ts';
import { vmView } from '../views.ts';

const params = z.object({ ref: z.string().max(200) });
const WAIT_POLL_MS = 50;
const DEFAULT_WAIT_MS = 120_000;

/** What only the guest, or the way to it, can tell. */
export function guestStateRoutes(server: TypedServer, services: DaemonServices): void {
  const resolve = (reference: string): Vm => resolveReference('VM', services.vms, reference);

  server.get('/v1/vms/:ref/health', { schema: { params, response: { 200: healthSchema } } }, (request) =>
    health(services, resolve(request.params.ref)),
  );

  const login = async () => ({ user: 'root', privateKeyPath: await services.clientPrivateKeyPath() });
  server.get('/v1/ssh', { schema: { response: { 200: sshLoginSchema } } }, login);

  const sshQuery = z.strictObject({ running: z.literal('1').optional().describe('refuse when the VM does not run') });
  const sshSchema = { params, querystring: sshQuery, response: { 200: sshAccessSchema } };
  server.get('/v1/vms/:ref/ssh', { schema: sshSchema }, async (request) => {
    const vm = resolve(request.params.ref);
    if (request.query.running !== undefined) services.machines.get(vm);
    return {
      ...(await login()),
      hostKeyAlias: `banger-${vm.id}`,
      hostPublicKey: vm.sshHostKey ?? '',
      knownHostsPath: services.pathsOf(vm).knownHosts,
    };
  });

  const querystring = z.strictObject({
    for: z.enum(['agent', 'ssh', 'services', 'running', 'stopped']).default('services'),
    timeoutMs: z
      .string()
      .regex(/^\d{1,8}$/, 'must be a whole number of milliseconds, at most 99999999')
      .transform(Number)
      .default(DEFAULT_WAIT_MS),
  });
  server.get('/v1/vms/:ref/wait', { schema: { params, querystring, response: { 200: vmSchema } } }, async (request, reply) => {
    const vm = resolve(request.params.ref);
    const waited = await waitFor(services, vm, request.query, clientSignal(reply));
    return vmView(services, waited);
  });
}

async function health(services: DaemonServices, vm: Vm): Promise<Health> {
  const base = { vm: vm.name, state: vm.state, init: null, uptimeMs: null, clockOffsetMs: null, problem: problemOf(vm) };
  try {
    const live = services.machines.whyLeft(vm.id) === undefined ? services.machines.find(vm.id) : await held(services, vm);
    if (live === undefined) return { ...base, agent: 'not-running' };
    const { init, uptimeMs } = await live.agent.healthz();
    const clock = await live.agent.readClock();
    const clockOffsetMs = clock === undefined ? null : Math.round(clock.offsetMs);
    return { ...base, problem: problemOf(services.vms.find(vm.id) ?? vm), agent: 'ok', init, uptimeMs, clockOffsetMs };
  } catch (error) {
    if (!(error instanceof BangerError)) throw error;
    return { ...base, agent: 'unreachable' };
  }
}

/** What is wrong now comes first, then what could not be set up at the start. */
function problemOf({ lastError, runtime }: Vm): string | null {
  const all = [...(lastError === null ? [] : [lastError]), ...(runtime?.troubles ?? []).map(({ reason }) => reason)];
  return all.length === 0 ? null : all.join('; ');
}

type Goal = 'agent' | 'ssh' | 'services' | 'running' | 'stopped';

async function waitFor(services: DaemonServices, vm: Vm, goal: { for: Goal; timeoutMs: number }, signal: AbortSignal): Promise<Vm> {
  const deadline = performance.now() + goal.timeoutMs;
  for (;;) {
    const present = services.vms.find(vm.id);
    if (present === undefined) throw new BangerError('NOT_FOUND', `the VM ${vm.name} was deleted`);
    if (await isReached(services, present, goal.for)) return present;
    if (present.state === 'stopped' && goal.for !== 'stopped') decideAction(present, 'exec');
    if (performance.now() >= deadline) {
      throw new BangerError('TIMEOUT', `VM ${vm.name} is ${present.state}; it was not "${goal.for}" within ${goal.timeoutMs} ms`, {
        remedy: `banger vm health ${vm.name}`,
      });
    }
    await sleep(WAIT_POLL_MS, undefined, { signal });
  }
}

async function isReached(services: DaemonServices, vm: Vm, goal: Goal): Promise<boolean> {
  if (goal === 'stopped') return vm.state === 'stopped';
  if (vm.state !== 'running') return false;
  const live = services.machines.find(vm.id);
  if (live === undefined || goal === 'running') return live !== undefined;
  const { personalized, init } = await live.agent.healthz();
  if (goal !== 'services') return personalized;
  const listening = new Set((await live.agent.ports()).map((port) => port.port));
  const { servicePorts, initSystem } = makeContext(services, vm).image;
  // systemd that does not answer yet has not even begun; other inits never tell.
  const isUp = initSystem === 'systemd' ? init === 'running' || init === 'degraded' : init !== 'starting';
  return isUp && servicePorts.every((port) => listening.has(port));
}
