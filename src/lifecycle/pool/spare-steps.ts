import { setTimeout as sleep } from 'node:timers/promises';
import { ALL_CAPABILITIES } from '../../capabilities/all.ts';
import type { Step } from '../../context/pipeline.ts';
import { stepResult } from '../../context/step-result.ts';
import type { GuestDraft, VmContext } from '../../context/vm-context.ts';
import type { CallOptions } from '../../guest/agent-call.ts';
import type { AgentClient } from '../../guest/agent-client.ts';
import { stepsOf } from '../vm/capability-steps.ts';
import { guestDraft } from '../vm/start-steps.ts';

/** What the guest of a spare was told last. */
export const told = stepResult<GuestDraft>('what a spare was told');

/**
 * All steps from a record to a spare.
 * @param life the steps until its guest has an identity of its own
 */
export function spareSteps(life: readonly Step<VmContext>[]): Step<VmContext>[] {
  const waiting = ALL_CAPABILITIES.filter(({ traits }) => traits?.waitsForGuest === true);
  return [...life, ...stepsOf(waiting, 'afterStart'), rehearse, rest];
}

/** Under emulation, what a guest does for the first time takes several times as long: so here it does what its user will wait for. */
const rehearse: Step<VmContext> = {
  name: 'rehearse',
  title: 'rehearsal',
  async apply(context, signal) {
    const live = context.services.vms.machines.get(context.vm);
    const draft = await guestDraft(context);
    // A name that it does not keep, so that the guest really changes it, now and when it is claimed.
    const rehearsed = { ...draft, hostname: 'rehearsal', hosts: draft.hosts.map((line) => line.replaceAll(draft.hostname, 'rehearsal')) };
    const unhurried = { signal, timeoutMs: REHEARSAL_MS };
    await live.agent.personalize({ ...news(draft, rehearsed), randomSeed: draft.randomSeed, unixMs: 'now' }, unhurried);
    told.set(live, rehearsed);
    await runNothing(live.agent, unhurried);
    if (context.vm.runtime?.hasSshServer !== false) await greet(live.agent, unhurried);
  },
};

/** Nobody waits for it, and whoever works on this host goes first. */
const REHEARSAL_MS = 300_000;

/** @returns the members of `draft` that differ from what was told before */
export function news(before: GuestDraft, draft: GuestDraft): Partial<GuestDraft> {
  const differ = (Object.keys(draft) as (keyof GuestDraft)[]).filter((key) => JSON.stringify(draft[key]) !== JSON.stringify(before[key]));
  return Object.fromEntries(differ.map((key) => [key, draft[key]]));
}

async function runNothing(agent: AgentClient, options: CallOptions): Promise<void> {
  const session = await agent.openExec({ argv: ['true'] }, options);
  session.stdin.end();
  session.stdout.resume();
  session.stderr.resume();
  await session.exit;
}

/** Until the SSH server answers: what it does for the first time, too, takes long. */
async function greet(agent: AgentClient, options: CallOptions): Promise<void> {
  const session = await agent.openTunnel('ssh', options);
  const limit = setTimeout(() => session.close(), GREETING_MS);
  session.stdin.write('SSH-2.0-banger\r\n');
  const greeted = new Promise((resolve) => session.stdout.once('data', resolve));
  const ended = session.exit.then(undefined, () => undefined);
  await Promise.race([greeted, ended]).finally(() => clearTimeout(limit));
  session.close();
}

/** One that does not answer by then is not the rehearsal's concern. */
const GREETING_MS = 30_000;
/** Until the guest has put away what it did for the last session. */
const CALM_MS = 300;

const rest: Step<VmContext> = {
  name: 'rest',
  title: 'rest',
  async apply({ services, vm, move }, signal) {
    const { machine } = services.vms.machines.get(vm);
    await sleep(CALM_MS, undefined, { signal });
    await machine.pause?.();
    // Its next user does not wait for it.
    await services.world.processes.setBackground(machine.process, false);
    move('spare', { startedAt: null });
  },
};
