import type { AgentClient } from '../guest/agent-client.ts';
import type { VmContext } from '../context/vm-context.ts';
import { messageOf } from '../lib/message-of.ts';

/** The time limit for telling a running guest about a change. */
const TELL_TIMEOUT_MS = 5000;

/**
 * Tells a running guest about a change. If the guest does not answer, the change on the host stands, and the guest gets it at its next
 * start.
 */
export async function tellGuest({ services, vm, operation }: VmContext, news: Parameters<AgentClient['personalize']>[0]): Promise<void> {
  try {
    await services.vms.machines.get(vm).agent.personalize(news, { timeoutMs: TELL_TIMEOUT_MS });
  } catch (error) {
    const reason = messageOf(error);
    operation.log(`the guest did not answer, and gets the change at its next start: ${reason}`);
  }
}
