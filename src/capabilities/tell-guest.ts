import type { AgentClient } from '../guest/agent-client.ts';
import type { VmContext } from '../context/vm-context.ts';

/** How long a running guest may take to hear of a change. */
const TELL_TIMEOUT_MS = 5000;

/** A guest that does not listen keeps nobody from changing what is the host's; it hears of it when it starts. */
export async function tellGuest({ services, vm, operation }: VmContext, news: Parameters<AgentClient['personalize']>[0]): Promise<void> {
  try {
    await services.vms.machines.get(vm).agent.personalize(news, { timeoutMs: TELL_TIMEOUT_MS });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    operation.log(`the guest could not be told and learns of it with its next start: ${reason}`);
  }
}
