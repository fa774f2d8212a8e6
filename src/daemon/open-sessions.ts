import type { OpenSession } from '../api/schemas.ts';

/** Sessions that end with this daemon: commands, logins, copies, followed logs. */
export type OpenSessions = {
  /** The oldest first. */
  list(): OpenSession[];
  /** @returns a function to call at the session's end */
  begin(vm: string, what: string): () => void;
};

export function createOpenSessions(now: () => Date): OpenSessions {
  const open = new Set<OpenSession>();
  return {
    list: () => [...open],
    begin(vm, what) {
      const session = { vm, what, since: now().toISOString() };
      open.add(session);
      return () => void open.delete(session);
    },
  };
}
