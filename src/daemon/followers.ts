import type { FastifyReply } from 'fastify';
import { BangerError } from '../model/errors.ts';

/** Each looks at a file again and again. */
export const MOST_LOG_FOLLOWERS = 64;
/** Each command that waits for its operation is one, and a command may have many VMs. */
export const MOST_EVENT_FOLLOWERS = 1024;

/**
 * Bounds streams that stay open as long as their client likes.
 * @param what they are, for people
 * @returns what counts a reply as one of them until its connection closes; throws BUSY beyond the bound
 */
export function createFollowers(most: number, what: string): (reply: Pick<FastifyReply, 'raw'>) => void {
  let count = 0;
  return ({ raw }) => {
    if (count >= most) {
      throw new BangerError('BUSY', `${count} ${what} are being followed, which is as many as the daemon serves`, {
        remedy: 'end one of the commands that follow',
      });
    }
    count++;
    raw.once('close', () => count--);
  };
}
