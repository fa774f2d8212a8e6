import type { OpenSession } from '../api/schemas.ts';

/** What people have open through this daemon and would lose with it: commands, logins, copies, logs that are followed. */
export type OpenSessions = {
  /** Those that were begun first come first. */
  list(): OpenSession[];
  /** @returns a function to call at the end */
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
