import { commandEnvironment, spawnPiped } from './spawn.ts';
import type { PipedProcess } from './spawn.ts';

/** Reports that this host's wall clock was set, or that the host slept. */
export type ClockJumps = { subscribe(listener: () => void): () => void };

/**
 * Node has no such event. While there are listeners, a small program waits for the kernel's (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
 * Where it cannot run, there are no reports.
 * @param program absolute path of banger-forwarder, once there is one
 */
export function watchClockJumps(program: () => string | undefined): ClockJumps {
  const listeners = new Set<() => void>();
  let child: PipedProcess | undefined;
  const start = (): void => {
    const path = program();
    if (path === undefined) return;
    const started = spawnPiped([path, 'clock'], commandEnvironment());
    child = started;
    started.stdin.on('error', () => undefined);
    started.stderr.resume();
    started.stdout.on('data', () => {
      for (const listener of listeners) listener();
    });
    void started.ended.then(() => {
      if (child === started) child = undefined;
    });
  };
  return {
    subscribe(listener) {
      listeners.add(listener);
      if (child === undefined) start();
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        // It ends with its input.
        child?.stdin.end();
        child = undefined;
      };
    },
  };
}
