import { BangerError } from '../model/errors.ts';
import type { Client } from './handlers.ts';

/** Each follower reads a file again and again. */
export const MOST_LOG_FOLLOWERS = 64;
/** Each command that waits for its operation is one follower, and a command may have many VMs. */
export const MOST_EVENT_FOLLOWERS = 1024;

/**
 * Bounds streams that stay open as long as their client likes. A VM may have one more as long as it has fewer than are left for all VMs, so
 * a client that follows one VM in a loop leaves room for the others.
 * @param what the name of the streams, for people
 * @returns a function that counts a client until its connection closes; it throws BUSY beyond the bound
 */
export function createFollowers(most: number, what: string): (client: Pick<Client, 'onClose'>, vm: string | null) => void {
  const counts = new Map<string | null, number>();
  let count = 0;
  return (client, vm) => {
    const own = counts.get(vm) ?? 0;
    if (own >= most - count) {
      const whose = vm === null ? '' : ` of ${vm}`;
      throw new BangerError('BUSY', `${own} ${what}${whose} are being followed, ${count} in all; the daemon does not serve more`, {
        remedy: 'end a command that follows one',
      });
    }
    count++;
    counts.set(vm, own + 1);
    client.onClose(() => {
      count--;
      const left = (counts.get(vm) ?? 1) - 1;
      if (left === 0) counts.delete(vm);
      else counts.set(vm, left);
    });
  };
}
